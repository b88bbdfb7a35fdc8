# SPDX-License-Identifier: Apache-2.0
"""Measures the resident memory of idle connections and waiting calls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf.wrappers_pb2 import BytesValue, Int64Value, UInt64Value

from bench.ttrpc.peers import PEERS, server
from tests.helpers.wire import Wire, request

CONNECTIONS: Final = 1_000
CALLS: Final = 10_000
HOUR: Final = 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes for each connection or call, by side."""

    what: str
    each: dict[str, float]


def measure(directory: Path) -> list[Cost]:
    def cost(what: str, load: Callable[[str, ExitStack], int]) -> Cost:
        each = {}
        for side in PEERS:
            address = str(directory / f"{side}-{load.__name__}.sock")
            with server(side, address) as process, ExitStack() as stack:
                warm_up(address)
                before = resident(process.pid)
                count = load(address, stack)
                each[side] = (resident(process.pid) - before) / count
        return Cost(what, each)

    return [
        cost(f"{CONNECTIONS:,} idle connections", idle_connections),
        cost(f"{CALLS:,} parked calls", parked_calls),
    ]


def resident(pid: int) -> int:
    """Return VmRSS in bytes (man 5 proc_pid_status)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def warm_up(address: str) -> None:
    with Wire(address) as wire:
        for stream_id in range(1, 2001, 2):
            wire.send(request(stream_id, "Echo", BytesValue(value=bytes(64))))
            wire.receive()


def idle_connections(address: str, stack: ExitStack) -> int:
    """Open connections that have made one call each."""
    for _ in range(CONNECTIONS):
        wire = stack.enter_context(Wire(address))
        wire.send(request(1, "Echo"))
        wire.receive()
    return CONNECTIONS


def parked_calls(address: str, stack: ExitStack) -> int:
    """Make calls, on one connection, that wait for an hour."""
    wire = stack.enter_context(Wire(address))
    for number in range(CALLS):
        wire.send(request(2 * number + 1, "Sleep", UInt64Value(value=HOUR)))
    active = 0
    stream_id = 2 * CALLS + 1
    while active < CALLS:
        wire.send(request(stream_id, "Active"))
        frame = wire.receive()
        assert frame is not None
        active = Int64Value.FromString(frame.response.payload).value
        stream_id += 2
    return CALLS
