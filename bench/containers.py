# SPDX-License-Identifier: Apache-2.0
"""Containers over RPC against crun's command line: `python -m bench.containers`.

One local guest; in turns, a life (create, start, wait, remove) and an exec (exec,
wait) through the agent and by crun itself, with the same bundle, in the same
namespaces. With `--write` the table goes to `bench/README.md`.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from agent.client import AgentClient
from agent.client.spec import default_process, default_spec
from agent.ctl.rootfs import make_busybox
from bench.document import replace_section
from guest.local import ROOT, LocalGuest
from protos import oci_pb2

ROUNDS: Final = 40
WARM_UP: Final = 5
LIMIT: Final = 1.5
"""How many times crun's own duration the agent's may be."""
SLEEPER: Final = "agent-sleeper"


def guest_init(supervisor: int) -> int:
    """Return PID 1 of the guest below a supervisor."""
    waiting = [supervisor]
    while waiting:
        pid = waiting.pop()
        status = Path(f"/proc/{pid}/status").read_text()
        (line,) = [each for each in status.splitlines() if each.startswith("NSpid:")]
        if len(line.split()) > 2 and line.split()[-1] == "1":
            return pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        waiting += map(int, children.split())
    raise RuntimeError("the guest has no PID 1")


class Crun:
    """`bench.crun_lives` inside the guest."""

    def __init__(self, guest: LocalGuest, bundle: str) -> None:
        target = str(guest_init(guest.pid))
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
                sys.executable,
                "-m",
                "bench.crun_lives",
                bundle,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def seconds(self, what: str) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


async def measure(guest: LocalGuest, rootfs: Path) -> dict[str, list[list[float]]]:
    """Return the seconds by what was done: the agent's and crun's."""
    found: dict[str, list[list[float]]] = {"life": [[], []], "exec": [[], []]}
    async with await AgentClient.connect(guest.address) as client:
        await client.create_sandbox("bench", share_pids=False)

        def spec_of(name: str, *args: str) -> oci_pb2.Spec:
            return default_spec(name, default_process(args), rootfs=str(rootfs))

        template = await client.create_container(
            "template", spec_of("template", "true"), share_pids=False
        )
        crun = Crun(guest, "/run/kata-containers/template")
        sleeper = await client.create_container(
            SLEEPER, spec_of(SLEEPER, "sleep", "100000"), share_pids=False
        )
        await sleeper.start()

        async def life(number: int) -> None:
            name = f"life-{number}"
            container = await client.create_container(
                name, spec_of(name, "true"), share_pids=False
            )
            await container.start()
            await container.init.wait()
            await container.remove()

        async def execute(number: int) -> None:
            process = await sleeper.exec(f"exec-{number}", default_process(["true"]))
            await process.wait()

        for number in range(WARM_UP + ROUNDS):
            for what, do in (("life", life), ("exec", execute)):
                began = time.perf_counter()
                await do(number)
                ours = time.perf_counter() - began
                theirs = await asyncio.to_thread(crun.seconds, what)
                if number >= WARM_UP:
                    found[what][0].append(ours)
                    found[what][1].append(theirs)
        crun.close()
        await sleeper.remove()
        await template.remove()
        await client.destroy_sandbox()
    return found


def table(found: dict[str, list[list[float]]]) -> str:
    """Return the table, medians in milliseconds."""
    names = {"life": "create, start, wait, remove", "exec": "exec, wait"}
    rows = ["| | agent over RPC | crun's command line | ratio |", "|---|---|---|---|"]
    for what, (ours, theirs) in found.items():
        a, b = statistics.median(ours), statistics.median(theirs)
        rows.append(
            f"| {names[what]} | {a * 1e3:.1f} ms | {b * 1e3:.1f} ms "
            f"| {ratio(ours, theirs):.2f} |"
        )
    return "\n".join(rows)


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median of the rounds' own ratios: a busy machine slows both."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        rootfs = make_busybox(Path(directory) / "rootfs")
        with LocalGuest(Path(directory) / "guest") as guest:
            found = asyncio.run(measure(guest, rootfs))
    text = table(found)
    print(text)
    if "--write" in sys.argv[1:]:
        replace_section("containers", text)
    return int(max(ratio(*durations) for durations in found.values()) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
