# SPDX-License-Identifier: Apache-2.0
"""ttrpc for scripts: a client that blocks."""

from __future__ import annotations

from ttrpc.sync.client import Client
from ttrpc.sync.client_stream import ClientStream

__all__ = ["Client", "ClientStream"]
