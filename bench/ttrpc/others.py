# SPDX-License-Identifier: Apache-2.0
"""Our ttrpc beside other libraries, and beside what nothing can beat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.ttrpc import table
from bench.ttrpc.cells import (
    Cell,
    Comparison,
    Measure,
    Sample,
    all_cells,
    ping_pong_cells,
    run,
)
from bench.ttrpc.peers import (
    FLOOR,
    GO,
    GRPC_AIO,
    GRPCLIB,
    OURS,
    RUST,
    client,
    missing,
    servers,
)

SERVERS: Final = (FLOOR, RUST, OURS)
PAIRS: Final = (GRPC_AIO, GRPCLIB, OURS)


def shares_part(directory: Path, measure: Measure) -> str:
    """The floor, ttrpc-rust's server and ours under the Go client."""
    title = "### Server: shares of the floor and of ttrpc-rust, Go client"
    lacking = missing(GO)
    if lacking is not None:
        return f"{title}\n\nLeft out: the client is Go's, and {lacking}."
    present, left_out = choose(SERVERS)
    rows: list[Comparison] = []
    if len(present) > 1:
        with servers(directory, present) as addresses:

            def load(side: str, cell: Cell, count: int) -> Sample:
                return run(client(GO), addresses[side], cell, count)

            rows = measure(all_cells(), load, present)
    paragraphs = [title, *table.reached(rows), *left_out, table.shares(rows)]
    return "\n\n".join(paragraphs)


def pairs_part(directory: Path, measure: Measure) -> str:
    """Each Python library's own client on its own server."""
    title = "### Client and server: each library's own client on its own server"
    present, left_out = choose(PAIRS)
    rows: list[Comparison] = []
    if len(present) > 1:
        with servers(directory, present) as addresses:

            def load(side: str, cell: Cell, count: int) -> Sample:
                return run(client(side), addresses[side], cell, count)

            rows = measure(ping_pong_cells(), load, present)
    return "\n\n".join([title, *left_out, table.shares(rows)])


def choose(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the peers that can run here, and a sentence for each that cannot."""
    lacking = {name: missing(name) for name in names}
    present = [name for name, reason in lacking.items() if reason is None]
    left_out = [
        f"{name} is left out: {reason}."
        for name, reason in lacking.items()
        if reason is not None
    ]
    return present, left_out
