# SPDX-License-Identifier: Apache-2.0
"""Names for the methods of `peer.v1`, to call them with our clients."""

from __future__ import annotations

from typing import Final

from bench.ttrpc.peer_pb2 import DESCRIPTOR
from ttrpc import Service

ECHO: Final = Service.from_descriptor(DESCRIPTOR.services_by_name["Echo"]).methods
ITEMS: Final = Service.from_descriptor(DESCRIPTOR.services_by_name["Streaming"]).methods
SECOND: Final = 1_000_000_000
LIMIT: Final = 4 << 20
