# SPDX-License-Identifier: Apache-2.0
"""How a batch of spans looks on the wire: OTLP, or Jaeger Thrift.

An encoder, and the libraries that it needs, is imported when it is asked for.
"""
