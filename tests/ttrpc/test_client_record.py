# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from ttrpc import ClientCounters, Closed, Code, Peer
from ttrpc.client_record import ClientRecord


def test_connections_are_added_up() -> None:
    told: list[Any] = []
    record = ClientRecord(told.append, told.append)
    peer, cause = Peer("unix:///a.sock"), Closed("connection: closed by the peer")
    record.connection_made(peer)
    record.connection_ended(cause, received=3, sent=4)
    record.connections_failed += 1
    record.connection_made(peer)
    assert told == [peer, cause, peer]
    record.counts.started = 3
    record.counts.succeeded = 1
    record.counts.count_failure(Code.NOT_FOUND)
    assert record.counters(received=10, sent=20) == ClientCounters(
        connections=2,
        connections_failed=1,
        calls=3,
        calls_ended={Code.OK: 1, Code.NOT_FOUND: 1},
        bytes_received=13,
        bytes_sent=24,
    )


def test_a_hook_cannot_be_awaited() -> None:
    async def hook(_: object) -> None:
        pass

    with pytest.raises(TypeError, match="^connected: .* must be a plain function$"):
        ClientRecord(hook, None)
    with pytest.raises(TypeError, match="^disconnected: .* must be a plain function$"):
        ClientRecord(None, hook)
