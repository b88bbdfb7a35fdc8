# SPDX-License-Identifier: Apache-2.0
"""Compare our ttrpc with the Go library and with others, and print the tables.

    python -m bench.ttrpc [--quick] [--write] [--without PEER] [PART ...]

`--write` puts each table into its section of bench/README.md. A peer that cannot run
on this machine is an error, unless it is left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.document import replace_section
from bench.ttrpc.cells import Cell, Comparison, Load, compare
from bench.ttrpc.parts import PARTS
from bench.ttrpc.peers import FLOOR, GRPC_AIO, GRPCLIB, RUST, prepare

OPTIONAL: Final = (FLOOR, RUST, GRPC_AIO, GRPCLIB)


def main() -> None:
    options = parse()
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
    for name in PARTS:
        if name not in options.part:
            continue
        part = PARTS[name]
        sides = [side for side in part.sides if side not in options.without]
        with tempfile.TemporaryDirectory() as directory:
            figures = part.text(Path(directory), measure, sides)
        medians = f"Medians of {rounds} rounds, {machine}."
        heading = medians if part.has_rounds else f"{machine}."
        text = f"### {part.title}\n\n{heading}\n\n{figures}"
        print(f"{text}\n")
        if options.write:
            replace_section(f"ttrpc-{name}", text)


def parse() -> argparse.Namespace:
    """Read the command line. Ends the program if a peer is missing."""
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
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=OPTIONAL,
        help="leave out a peer; may be given again",
    )
    parser.add_argument("part", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    options = parser.parse_args()
    options.part = options.part or list(PARTS)
    unknown = set(options.part).difference(PARTS)
    if unknown:
        parser.error(f"part {min(unknown)!r}: none of {', '.join(PARTS)}")
    if options.write and options.cell:
        parser.error("--write: a table has all cells, not those of --cell alone")
    faults = find_faults(options.part, options.without)
    if faults:
        parser.error("; ".join(faults))
    return options


def find_faults(names: Sequence[str], without: Sequence[str]) -> list[str]:
    """Build the peers of these parts; tell why some of them cannot be measured."""
    faults = []
    peers: dict[str, None] = {}
    for name in names:
        part = PARTS[name]
        sides = [side for side in part.sides if side not in without]
        if len(sides) < 2:
            faults.append(f"part {name!r}: nothing is left to compare with")
        peers.update(dict.fromkeys([*part.also, *sides]))
    for peer in peers:
        try:
            prepare(peer)
        except RuntimeError as error:
            hint = f" (or --without {peer})" if peer in OPTIONAL else ""
            faults.append(f"peer {peer!r}: {error}{hint}")
    return faults


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
