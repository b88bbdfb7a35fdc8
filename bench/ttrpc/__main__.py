# SPDX-License-Identifier: Apache-2.0
"""Compare our ttrpc with the Go library, and print the tables.

    python -m bench.ttrpc [--quick] [--write] [PART ...]

`--write` puts the tables into the ttrpc section of bench/README.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.ttrpc import memory, table
from bench.ttrpc.cells import (
    Cell,
    Comparison,
    Load,
    Sample,
    all_cells,
    check_cells,
    compare,
    ping_pong_cells,
    run,
)
from bench.ttrpc.peers import GO, agent, client, servers

README: Final = Path(__file__).parents[1] / "README.md"
BEGIN: Final = "<!-- ttrpc: written by `make bench-ttrpc` -->"
END: Final = "<!-- /ttrpc -->"
SERVER_BAR: Final = 1.0
SERVER_P99_BAR: Final = 1.2
CLIENT_BAR: Final = 0.7

Compare = Callable[[Cell, Load], Comparison]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ttrpc", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="short rounds, few of them"
    )
    parser.add_argument("--write", action="store_true", help="update bench/README.md")
    parser.add_argument("--rounds", type=int, help="rounds of each cell")
    parser.add_argument("--seconds", type=float, help="of each round")
    parser.add_argument(
        "--cell",
        action="append",
        metavar="MODE[:SIZE[:IN_FLIGHT]]",
        help="only the cells that this names; may be given again",
    )
    parser.add_argument("part", nargs="*", default=[], help=f"of {', '.join(PARTS)}")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 21)
    seconds = options.seconds or (0.25 if options.quick else 0.35)

    def measure(cells: list[Cell], load: Load) -> list[Comparison]:
        chosen = [cell for cell in cells if is_named(cell, options.cell)]
        return [
            progress(compare(cell, load, rounds=rounds, seconds=seconds))
            for cell in chosen
        ]

    parts = []
    for name in options.part or PARTS:
        with tempfile.TemporaryDirectory() as directory:
            parts.append(PARTS[name](Path(directory), measure))
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    text = "\n\n".join([f"Medians of {rounds} rounds, {machine}.", *parts])
    print(text)
    if options.write:
        write(text)


Measure = Callable[[list[Cell], Load], list[Comparison]]


def server_part(directory: Path, measure: Measure) -> str:
    """Our server and Go's under the Go client."""
    with servers(directory) as addresses:

        def load(side: str, cell: Cell, count: int) -> Sample:
            return run(client(GO), addresses[side], cell, count)

        rows = measure(all_cells(), load)
    title = (
        f"### Server: Go client, each server in turn\n\nBar: {SERVER_BAR} of Go's rate"
    )
    text = table.comparisons(rows, SERVER_BAR, SERVER_P99_BAR)
    return f"{title}, {SERVER_P99_BAR} of its p99.\n\n{text}"


def client_part(directory: Path, measure: Measure) -> str:
    """Our client and Go's on the Go server."""
    with servers(directory) as addresses:

        def load(side: str, cell: Cell, count: int) -> Sample:
            return run(client(side), addresses[GO], cell, count)

        rows = measure(ping_pong_cells(), load)
    title = (
        f"### Client: each client in turn, Go server\n\nBar: {CLIENT_BAR} of Go's rate."
    )
    return f"{title}\n\n{table.comparisons(rows, CLIENT_BAR, None)}"


def agent_part(directory: Path, measure: Measure) -> str:
    """The agent's Check, through its interceptors, and an empty echo of Go's."""
    address = str(directory / "agent.sock")
    with servers(directory) as addresses, agent(address):

        def load(side: str, cell: Cell, count: int) -> Sample:
            if side == GO:
                echo = replace(cell, mode="unary")
                return run(client(GO), addresses[GO], echo, count)
            return run(client(GO), address, cell, count)

        rows = measure(check_cells(), load)
    title = "### The agent's `Check`, with its interceptors, and Go's empty echo"
    text = table.comparisons(rows, 0, None)
    return f"{title}\n\nTracing is off, and calls are not logged.\n\n{text}"


def memory_part(directory: Path, measure: Measure) -> str:
    return f"### Memory\n\n{table.costs(memory.measure(directory))}"


PARTS: Final[dict[str, Callable[[Path, Measure], str]]] = {
    "server": server_part,
    "client": client_part,
    "agent": agent_part,
    "memory": memory_part,
}


def is_named(cell: Cell, names: list[str] | None) -> bool:
    """Whether one of `names`, `bidi`, `bidi:64` or `bidi:64:8`, means this cell."""
    key = [cell.mode, str(cell.size), str(cell.in_flight)]
    return not names or any(key[: len(name)] == name for name in map(_split, names))


def _split(name: str) -> list[str]:
    return name.split(":")


def progress(row: Comparison) -> Comparison:
    cell = row.cell
    text = f"{cell.mode} {cell.size} x{cell.in_flight}: {row.rate_ratio:.2f}"
    print(text, file=sys.stderr, flush=True)
    return row


def write(text: str) -> None:
    """Replace the section between the marks."""
    readme = README.read_text()
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    README.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    main()
