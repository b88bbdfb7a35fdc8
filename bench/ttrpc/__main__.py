# SPDX-License-Identifier: Apache-2.0
"""Compare our ttrpc with the Go library and with others, and print the tables.

    python -m bench.ttrpc [--quick] [--write] [PART ...]

`--write` puts the tables into their sections of bench/README.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.document import replace_section
from bench.ttrpc import memory, table
from bench.ttrpc.cells import (
    Cell,
    Comparison,
    Load,
    Measure,
    Sample,
    all_cells,
    check_cells,
    compare,
    ping_pong_cells,
    run,
)
from bench.ttrpc.others import pairs_part, shares_part
from bench.ttrpc.peers import GO, PEERS, agent, client, missing, servers

SERVER_BAR: Final = 1.0
SERVER_P99_BAR: Final = 1.2
CLIENT_BAR: Final = 0.7


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
    unknown = set(options.part).difference(PARTS)
    if unknown:
        parser.error(f"part {min(unknown)!r}: none of {', '.join(PARTS)}")
    rounds = options.rounds or (3 if options.quick else 21)
    seconds = options.seconds or (0.25 if options.quick else 0.35)

    def measure(
        cells: Sequence[Cell], load: Load, sides: Sequence[str]
    ) -> list[Comparison]:
        chosen = [cell for cell in cells if is_named(cell, options.cell)]
        return [
            progress(compare(cell, load, sides, rounds=rounds, seconds=seconds))
            for cell in chosen
        ]

    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    heading = f"Medians of {rounds} rounds, {machine}."
    for section, parts in SECTIONS.items():
        chosen = [part for name, part in parts.items() if is_chosen(name, options.part)]
        if not chosen:
            continue
        texts = [heading]
        for part in chosen:
            with tempfile.TemporaryDirectory() as directory:
                texts.append(part(Path(directory), measure))
        text = "\n\n".join(texts)
        print(text)
        if options.write:
            replace_section(section, text)


def is_chosen(name: str, names: list[str]) -> bool:
    """Whether a part is among those that were asked for; without any, all are."""
    return not names or name in names


def server_part(directory: Path, measure: Measure) -> str:
    """Our server and Go's under the Go client."""
    with servers(directory) as addresses:

        def load(side: str, cell: Cell, count: int) -> Sample:
            return run(client(GO), addresses[side], cell, count)

        rows = measure(all_cells(), load, PEERS)
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

        rows = measure(ping_pong_cells(), load, PEERS)
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

        rows = measure(check_cells(), load, PEERS)
    title = "### The agent's `Check`, with its interceptors, and Go's empty echo"
    text = table.comparisons(rows, 0, None)
    return f"{title}\n\nTracing is off, and calls are not logged.\n\n{text}"


def memory_part(directory: Path, measure: Measure) -> str:
    """Idle connections and parked calls, Go's and ours."""
    return f"### Memory\n\n{table.costs(memory.measure(directory))}"


Part = Callable[[Path, Measure], str]


def with_go(part: Part) -> Part:
    """Leave a part out, and say so, where Go cannot be built."""

    def run_or_name(directory: Path, measure: Measure) -> str:
        lacking = missing(GO)
        if lacking is not None:
            return f"Left out, because {lacking}: {part.__doc__}"
        return part(directory, measure)

    return run_or_name


SECTIONS: Final[dict[str, dict[str, Part]]] = {
    "ttrpc": {
        "server": with_go(server_part),
        "client": with_go(client_part),
        "agent": with_go(agent_part),
        "memory": with_go(memory_part),
    },
    "ttrpc-others": {"shares": shares_part, "pairs": pairs_part},
}
"""The parts of each section of bench/README.md."""
PARTS: Final = [name for parts in SECTIONS.values() for name in parts]


def is_named(cell: Cell, names: list[str] | None) -> bool:
    """Whether one of `names`, `bidi`, `bidi:64` or `bidi:64:8`, means this cell."""
    key = [cell.mode, str(cell.size), str(cell.in_flight)]
    return not names or any(key[: len(name)] == name for name in map(_split, names))


def _split(name: str) -> list[str]:
    return name.split(":")


def progress(row: Comparison) -> Comparison:
    cell = row.cell
    ratios = ", ".join(f"{ratio:.2f} of {s}" for s, ratio in row.rate_ratios.items())
    text = f"{cell.mode} {cell.size} x{cell.in_flight}: {ratios}"
    print(text, file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    main()
