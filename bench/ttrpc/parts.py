# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmark: which sides each compares, and what it prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.ttrpc import memory, table
from bench.ttrpc.cells import (
    Cell,
    Load,
    Measure,
    Sample,
    all_cells,
    check_cells,
    ping_pong_cells,
    run,
)
from bench.ttrpc.peers import (
    CALLBACK,
    FLOOR,
    GO,
    GRPC_AIO,
    GRPCLIB,
    LEAST,
    LOOP,
    OURS,
    PEERS,
    RUST,
    agent,
    client,
    servers,
    version,
)

SERVER_BAR: Final = 1.0
SERVER_P99_BAR: Final = 1.2
CLIENT_BAR: Final = 0.7
BARE_LOADS: Final = ((64, 1), (64, 8), (64, 64), (4096, 1))
"""Bytes and streams, of which all bytes in flight fit into a socket."""


@dataclass(frozen=True, slots=True)
class Part:
    """One table, with a section of its own in bench/README.md."""

    title: str
    sides: Sequence[str]
    """The peers that it compares, ours among them."""
    text: Callable[[Path, Measure, Sequence[str]], str]
    """Measures the given ones of `sides`, with sockets in a directory."""
    also: Sequence[str] = ()
    """Peers that it needs besides: the client's."""
    has_rounds: bool = True
    """Whether its figures are medians of rounds."""


def server_text(directory: Path, measure: Measure, sides: Sequence[str]) -> str:
    """Our server and Go's under the Go client."""
    with servers(directory, sides) as addresses:
        rows = measure(all_cells(), _loaded_by_go(addresses), sides)
    bars = f"Bar: {SERVER_BAR} of Go's rate, {SERVER_P99_BAR} of its p99."
    return f"{bars}\n\n{table.comparisons(rows, SERVER_BAR, SERVER_P99_BAR)}"


def client_text(directory: Path, measure: Measure, sides: Sequence[str]) -> str:
    """Our client and Go's on the Go server."""
    with servers(directory, [GO]) as addresses:

        def load(side: str, cell: Cell, count: int) -> Sample:
            return run(client(side), addresses[GO], cell, count)

        rows = measure(ping_pong_cells(), load, sides)
    bar = f"Bar: {CLIENT_BAR} of Go's rate."
    return f"{bar}\n\n{table.comparisons(rows, CLIENT_BAR, None)}"


def agent_text(directory: Path, measure: Measure, sides: Sequence[str]) -> str:
    """The agent's Check, through its interceptors, and an empty echo of Go's."""
    address = str(directory / "agent.sock")
    with servers(directory, [GO]) as addresses, agent(address):

        def load(side: str, cell: Cell, count: int) -> Sample:
            if side == GO:
                echo = replace(cell, mode="unary")
                return run(client(GO), addresses[GO], echo, count)
            return run(client(GO), address, cell, count)

        rows = measure(check_cells(), load, sides)
    text = table.comparisons(rows, 0, None)
    return f"Tracing is off, and calls are not logged.\n\n{text}"


def memory_text(directory: Path, measure: Measure, sides: Sequence[str]) -> str:
    """Idle connections and parked calls, Go's and ours."""
    return table.costs(memory.measure(directory))


def shares_text(directory: Path, measure: Measure, sides: Sequence[str]) -> str:
    """The floor, ttrpc-rust's server and ours under the Go client."""
    with servers(directory, sides) as addresses:
        # No uploads: ttrpc-rust 0.9 loses messages of them when the machine is busy.
        rows = measure(ping_pong_cells(), _loaded_by_go(addresses), sides)
    return "\n\n".join([*_versions(sides), *table.reached(rows), table.shares(rows)])


def bare_text(directory: Path, measure: Measure, sides: Sequence[str]) -> str:
    """Servers in Python that do next to nothing, and ours, under the Go client."""
    cells = [Cell("bidi", size, in_flight) for size, in_flight in BARE_LOADS]
    with servers(directory, sides) as addresses:
        rows = measure(cells, _loaded_by_go(addresses), sides)
    return table.shares(rows)


def pairs_text(directory: Path, measure: Measure, sides: Sequence[str]) -> str:
    """Each Python library's own client on its own server."""
    with servers(directory, sides) as addresses:

        def load(side: str, cell: Cell, count: int) -> Sample:
            return run(client(side), addresses[side], cell, count)

        rows = measure(ping_pong_cells(), load, sides)
    return "\n\n".join([*_versions(sides), table.shares(rows)])


def _loaded_by_go(addresses: dict[str, str]) -> Load:
    def load(side: str, cell: Cell, count: int) -> Sample:
        return run(client(GO), addresses[side], cell, count)

    return load


def _versions(sides: Sequence[str]) -> list[str]:
    """Return a sentence with the releases of other libraries, if there are any."""
    releases = [f"{side} {found}" for side in sides if (found := version(side))]
    return [f"Releases: {', '.join(releases)}."] if releases else []


PARTS: Final = {
    "server": Part("Server: Go client, each server in turn", PEERS, server_text),
    "client": Part("Client: each client in turn, Go server", PEERS, client_text),
    "agent": Part(
        "The agent's `Check`, with its interceptors, and Go's empty echo",
        PEERS,
        agent_text,
    ),
    "memory": Part("Memory", PEERS, memory_text, has_rounds=False),
    "shares": Part(
        "Server: shares of the floor and of ttrpc-rust, Go client",
        (FLOOR, RUST, OURS),
        shares_text,
        also=(GO,),
    ),
    "bare": Part(
        "Server: what Python costs, Go client",
        (FLOOR, LOOP, CALLBACK, LEAST, OURS),
        bare_text,
        also=(GO,),
    ),
    "pairs": Part(
        "Client and server: each library's own client on its own server",
        (GRPC_AIO, GRPCLIB, OURS),
        pairs_text,
    ),
}
"""The parts by name; the section of each is called `ttrpc-NAME`."""
