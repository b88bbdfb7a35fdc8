# SPDX-License-Identifier: Apache-2.0
"""`python -m bench.soak`: load local guests for half an hour; nothing may grow.

Two guests, with cgroup v1 and v2, are loaded side by side. The exit status is 1 if an
action failed, or if a sample is not flat (`sample.py` says when). With `--write` the
table goes to `bench/README.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from random import Random
from typing import Final

from bench.document import replace_section
from bench.soak.sample import Sample
from bench.soak.soak import ROUNDS, SHORTEST_ROUND, Soak, open_guest
from kata_host.guest.local_cgroup import hierarchies

SECONDS: Final = 1800


async def run(seconds: float, seed: int) -> list[Soak]:
    """Soak a guest for each version of cgroups that this host can give.

    All are quiet at the same time, because one client serves all of them.
    """
    async with contextlib.AsyncExitStack() as stack:
        soaks = []
        for version in versions():
            stage = await stack.enter_async_context(open_guest(version))
            soaks.append(Soak(version, stage, Random(f"{seed}{version}")))
        await asyncio.gather(*(soak.warm_up() for soak in soaks))
        await look(soaks)
        end = time.monotonic() + seconds
        length = max(seconds / ROUNDS, SHORTEST_ROUND)
        while time.monotonic() < end:
            await asyncio.gather(*(soak.load(length) for soak in soaks))
            await look(soaks)
    for soak in soaks:
        soak.conclude()
    return soaks


async def look(soaks: Sequence[Soak]) -> None:
    """Take a sample of each guest, while all are quiet."""
    for soak in soaks:
        await soak.look()
        print(soak.summary(), flush=True)


def versions() -> list[str]:
    found = []
    for version in ("v1", "v2"):
        try:
            hierarchies(version)
        except ValueError as error:
            print(f"left out: {error}")
        else:
            found.append(version)
    return found


def table(soaks: list[Soak], seconds: float) -> str:
    """Return what was done, and the first, the middle and the last sample."""
    lines = [f"{seconds / 60:g} minutes.", ""]
    lines += ["| action | " + " | ".join(f"{x.version}" for x in soaks) + " |"]
    lines += ["|---|" + "---|" * len(soaks)]
    for name in sorted({name for soak in soaks for name in soak.counts}):
        counts = " | ".join(f"{soak.counts[name]:,}" for soak in soaks)
        lines.append(f"| {name.replace('_', ' ')} | {counts} |")
    lines.append("")
    parts = [(soak, at) for soak in soaks for at in ("first", "middle", "last")]
    lines.append(
        "| held | " + " | ".join(f"{s.version} {at}" for s, at in parts) + " |"
    )
    lines.append("|---|" + "---|" * len(parts))
    rows = [sample_at(soak, at).row() for soak, at in parts]
    for name in rows[0]:
        lines.append(f"| {name} | " + " | ".join(row[name] for row in rows) + " |")
    return "\n".join(lines)


def sample_at(soak: Soak, at: str) -> Sample:
    last = len(soak.samples) - 1
    return soak.samples[{"first": 0, "middle": last // 2, "last": last}[at]]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description="Mixed load; nothing may grow."
    )
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--write", action="store_true", help="keep the table")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    soaks = asyncio.run(run(options.seconds, options.seed))
    text = table(soaks, options.seconds)
    print(text)
    faults = sum(len(soak.faults) for soak in soaks)
    print(f"{faults} faults")
    if options.write and not faults:
        replace_section("soak", text)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
