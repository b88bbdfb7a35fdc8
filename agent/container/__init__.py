# SPDX-License-Identifier: Apache-2.0
"""One container: its state and what can be done with it.

Operations that change the state are ordered by `order`; those that only look,
and signals, waits and streams, never wait for it.
"""
