# SPDX-License-Identifier: Apache-2.0
"""How a batch of spans looks on the wire: OTLP, or Jaeger Thrift.

Nothing here imports an encoder until one is asked for.
"""
