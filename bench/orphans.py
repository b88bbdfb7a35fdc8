# SPDX-License-Identifier: Apache-2.0
"""Thousands of the agent's own children end at once: `python -m bench.orphans`.

Processes that the debug console has left are the agent's to reap. 4,000 of them end
together, while another connection calls `Check`. In turn with that, a server that reaps
nothing (`bench/bare_answer.py`) answers in the agent's place, beside the same
processes, which share its cgroup.

Fails, and says why, if the 99th percentile of `Check` is over its limit, or the longest
one is more than twice the bare server's. With `--write` the table goes to
`bench/README.md`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.bare_answer import bare_command
from bench.control import percentile
from bench.crowd import prefer_caller
from bench.document import replace_section
from bench.stage import agent_pid, children_of, open_stage
from kata_host.guest.guest import AGENT_PORT
from kata_host.guest.local_guest import LocalGuest

ORPHANS: Final = 4000
ROUNDS: Final = 5
SECONDS: Final = 2.0
"""The time in which calls are made, from the moment at which the processes end."""
SHELLS: Final = 10
"""More children than these are orphans that nobody has reaped yet."""
LIMIT_MS: Final = 10.0
RATIO: Final = 2.0
"""The agent's longest answer, as a part of the bare server's."""
CONSOLE_PORT: Final = 1026
FORK: Final = (
    # The shell between ends at once, so PID 1 gets its child, which waits for a writer.
    "cd {directory}; i=0; "
    "while [ $i -lt {orphans} ]; do (: < gate &); i=$((i + 1)); done; "
    "echo > ready\n"
)

Call = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Answers:
    """The durations of one server's answers in seconds, for each round."""

    rounds: list[list[float]] = field(default_factory=list)

    @property
    def all(self) -> list[float]:
        return [each for answers in self.rounds for each in answers]

    @property
    def longest(self) -> float:
        """The median of the rounds' longest ones: one of all is left to chance."""
        return statistics.median(map(max, self.rounds))


@contextlib.asynccontextmanager
async def agent(
    directory: Path, orphans: int
) -> AsyncIterator[tuple[LocalGuest, Call]]:
    """Have the orphans in a guest with the agent, whose `Check` is the call."""
    parameters = [f"agent.debug_console_vport={CONSOLE_PORT}"]
    async with open_stage(parameters=parameters) as stage:
        with socket.socket(socket.AF_UNIX) as console:
            console.connect(f"{stage.guest.socket}.d/{CONSOLE_PORT}")
            script = FORK.format(directory=directory, orphans=orphans)
            console.sendall(script.encode())
            yield stage.guest, stage.client.check


@contextlib.asynccontextmanager
async def bare(directory: Path, orphans: int) -> AsyncIterator[tuple[LocalGuest, Call]]:
    """Have the orphans in a guest with the bare server; the call is one byte."""
    loop = asyncio.get_running_loop()
    script = FORK.format(directory=directory, orphans=orphans)
    with LocalGuest(directory / "guest", command=bare_command(script)) as guest:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.setblocking(False)
            while True:
                try:
                    connection.connect(f"{guest.socket}.d/{AGENT_PORT}")
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    await asyncio.sleep(0.01)

            async def call() -> None:
                await loop.sock_sendall(connection, b"x")
                assert await loop.sock_recv(connection, 1) == b"x"

            yield guest, call


Server = Callable[
    [Path, int], contextlib.AbstractAsyncContextManager[tuple[LocalGuest, Call]]
]
SERVERS: Final[dict[str, Server]] = {"`Check`": agent, "the bare server": bare}


async def measure_round(server: Server, orphans: int) -> list[float]:
    """Let the orphans end, and return the durations of the calls meanwhile."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        for fifo in ("gate", "ready"):
            os.mkfifo(directory / fifo)
        async with server(directory, orphans) as (guest, call):
            await asyncio.to_thread((directory / "ready").read_bytes)
            assert len(children_of(agent_pid(guest))) >= orphans
            for _ in range(100):
                await call()
            answers: list[float] = []
            end = time.monotonic() + SECONDS
            # They all go on once there is a writer, and find the end of the input.
            os.close(os.open(directory / "gate", os.O_WRONLY))
            while time.monotonic() < end:
                called = time.monotonic()
                await call()
                answers.append(time.monotonic() - called)
                await asyncio.sleep(0.001)
            while len(children_of(agent_pid(guest))) >= SHELLS:
                assert guest.ending() is None
                await asyncio.sleep(0.01)
    return answers


async def measure(orphans: int = ORPHANS, rounds: int = ROUNDS) -> dict[str, Answers]:
    """Measure the servers in turn."""
    found = {name: Answers() for name in SERVERS}
    for _ in range(rounds):
        for name, server in SERVERS.items():
            found[name].rounds.append(await measure_round(server, orphans))
    return found


def table(found: dict[str, Answers]) -> str:
    rows = [
        "| | median | p99 | longest of each round | their median |",
        "|---|---|---|---|---|",
    ]
    for name, answers in found.items():
        longest = ", ".join(f"{max(each) * 1e3:.0f}" for each in answers.rounds)
        rows.append(
            f"| {name} | {percentile(answers.all, 50):.2f} ms "
            f"| {percentile(answers.all, 99):.1f} ms | {longest} ms "
            f"| {answers.longest * 1e3:.0f} ms |"
        )
    return "\n".join(rows)


def faults(found: dict[str, Answers]) -> list[str]:
    """Return the bounds that are broken; none if there is nothing."""
    ours, bare_server = found.values()
    broken = []
    if (p99 := percentile(ours.all, 99)) > LIMIT_MS:
        broken.append(f"`Check` takes {p99:.1f} ms at p99, over {LIMIT_MS:g} ms")
    if (ratio := ours.longest / bare_server.longest) > RATIO:
        broken.append(
            f"the longest `Check` takes {ratio:.1f} times the bare server's time"
        )
    return broken


def main() -> int:
    found = asyncio.run(measure())
    text = table(found)
    print(text)
    if "--write" in sys.argv[1:]:
        replace_section("orphans", text)
    broken = faults(found)
    for fault in broken:
        print(fault)
    return int(bool(broken))


if __name__ == "__main__":
    prefer_caller()
    sys.exit(main())
