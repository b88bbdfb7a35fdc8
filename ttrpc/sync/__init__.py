# SPDX-License-Identifier: Apache-2.0
"""A ttrpc client that blocks, for scripts."""

from __future__ import annotations

from ttrpc.sync.client import Client
from ttrpc.sync.client_stream import ClientStream

__all__ = ["Client", "ClientStream"]
