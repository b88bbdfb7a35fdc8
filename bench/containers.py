# SPDX-License-Identifier: Apache-2.0
"""Containers over RPC against crun's command line: `python -m bench.containers`.

In one local guest, the life of a container (create, start, wait, remove) and an exec
(exec, wait) go in turn through the agent and through crun itself, with the same bundle
and in the same namespaces. Fails if a ratio is over the limit, or more than 10 % over
the kept ratio. With `--write` the ratios are kept, and the table goes to
`bench/README.md`.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.document import replace_section
from bench.stage import agent_pid, open_stage
from kata_host.child import PACKAGES, module_command
from kata_host.client.spec import default_process
from kata_host.guest.local_guest import LocalGuest

ROUNDS: Final = 60
WARM_UP: Final = 5
LIMIT: Final = 1.5
"""The largest ratio of the agent's duration to crun's."""
TOLERANCE: Final = 1.10
KEPT: Final = Path(__file__).with_name("containers.json")
SLEEPER: Final = "agent-sleeper"

Durations = dict[str, tuple[list[float], list[float]]]


class Crun:
    """`bench.crun_lives` inside the guest."""

    def __init__(self, guest: LocalGuest, bundle: str) -> None:
        target = str(agent_pid(guest))
        self._process = subprocess.Popen(
            [
                "nsenter",
                "-t",
                target,
                "-m",
                "-p",
                "-i",
                "-u",
                "-n",
                "-C",
                "--",
                *module_command("bench.crun_lives"),
                bundle,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{PACKAGES}:{Path(__file__).parents[1]}"},
        )

    def seconds(self, work: str) -> float:
        """Do a `life` or an `exec`; return the seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{work}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


async def measure() -> Durations:
    """Return the seconds of each `life` and each `exec`: the agent's and crun's."""
    found: Durations = {"life": ([], []), "exec": ([], [])}
    async with open_stage() as stage:
        # crun uses its bundle too.
        template = await stage.created("template", "true")
        crun = Crun(stage.guest, f"/run/kata-containers/{template.id}")
        sleeper = await stage.started(SLEEPER, "sleep", "100000")

        async def life(number: int) -> None:
            container = await stage.started(f"life-{number}", "true")
            await container.init.wait()
            await container.remove()

        async def execute(number: int) -> None:
            process = await sleeper.exec(f"exec-{number}", default_process(["true"]))
            await process.wait()

        for number in range(WARM_UP + ROUNDS):
            for work, do in (("life", life), ("exec", execute)):
                began = time.perf_counter()
                await do(number)
                ours = time.perf_counter() - began
                theirs = await asyncio.to_thread(crun.seconds, work)
                if number >= WARM_UP:
                    found[work][0].append(ours)
                    found[work][1].append(theirs)
        crun.close()
        await sleeper.remove()
        await template.remove()
    return found


def table(found: Durations) -> str:
    """Return the table, medians in milliseconds."""
    names = {"life": "create, start, wait, remove", "exec": "exec, wait"}
    rows = ["| | agent over RPC | crun's command line | ratio |", "|---|---|---|---|"]
    for work, (ours, theirs) in found.items():
        a, b = statistics.median(ours), statistics.median(theirs)
        rows.append(
            f"| {names[work]} | {a * 1e3:.1f} ms | {b * 1e3:.1f} ms "
            f"| {ratio(ours, theirs):.2f} |"
        )
    return "\n".join(rows)


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the rounds' ratios: load slows both sides of a round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def regressions(found: Durations, kept: dict[str, float]) -> list[str]:
    """Return a line for each ratio over the limit or too far over the kept one."""
    lines = []
    for work, durations in found.items():
        now = ratio(*durations)
        if now > LIMIT:
            lines.append(f"{work}: {now:.2f} times crun, limit {LIMIT}")
        elif now > kept[work] * TOLERANCE:
            lines.append(f"{work}: {now:.2f} times crun, kept {kept[work]:.2f}")
    return lines


def main() -> int:
    found = asyncio.run(measure())
    text = table(found)
    print(text)
    if "--write" in sys.argv[1:]:
        ratios = {work: round(ratio(*both), 2) for work, both in found.items()}
        KEPT.write_text(json.dumps(ratios, indent=2) + "\n")
        replace_section("containers", text)
    worse = regressions(found, json.loads(KEPT.read_text()))
    for line in worse:
        print(line, file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
