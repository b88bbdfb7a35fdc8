# SPDX-License-Identifier: Apache-2.0
"""The cost of tracing: `python -m bench.tracing`.

The bench measures lives of containers in two local guests in turn, one of which is
traced with a collector that takes connections and never responds; one span by itself;
and turning tracing on in a process that has imported all of the agent. With `--write`
the table goes to `bench/README.md`. Fails if a figure is over its budget.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.document import replace_section
from kata_host.client import AgentClient
from kata_host.client.spec import default_process, default_spec
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.local_guest import LocalGuest
from kata_tracing.span import span
from kata_tracing.trace_port import TracePortLimits
from kata_tracing.tracing import Tracing

LIVES: Final = 120
WARM_UP: Final = 5
ROUNDS: Final = 9
SPANS: Final = 2000
STARTS: Final = 5

LIFE_LIMIT: Final = 1.05
SPAN_LIMIT: Final = 60e-6
START_LIMIT: Final = 0.150
MEMORY_LIMIT: Final = 4 << 20


@contextmanager
def hung_collector(path: str) -> Iterator[None]:
    """Listen on a unix socket, and never accept a connection."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(128)
        yield


# ---- a container's life ------------------------------------------------------


async def life(client: AgentClient, name: str, rootfs: str) -> float:
    """Create, start, wait for and remove a container; return the seconds."""
    spec = default_spec(name, default_process(["true"]), rootfs=rootfs)
    began = time.perf_counter()
    container = await client.create_container(name, spec)
    await container.start()
    await container.init.wait()
    await container.remove()
    return time.perf_counter() - began


async def lives(directory: Path) -> tuple[list[float], list[float]]:
    """Return the seconds of lives with tracing off, and with a hung collector."""
    rootfs = str(make_busybox(directory / "rootfs"))
    with ExitStack() as stack:
        off = stack.enter_context(LocalGuest(directory / "off"))
        traced = {"KATA_AGENT_TRACING": "collated"}
        on = stack.enter_context(LocalGuest(directory / "on", environment=traced))
        stack.enter_context(hung_collector(f"{on.socket}_10240"))
        found: tuple[list[float], list[float]] = ([], [])
        async with (
            await AgentClient.connect(off.address) as off_client,
            await AgentClient.connect(on.address) as on_client,
        ):
            clients = (off_client, on_client)
            for client in clients:
                await client.create_sandbox("bench")
            for number in range(WARM_UP + LIVES):
                order = (0, 1) if number % 2 else (1, 0)
                for which in order:
                    took = await life(clients[which], f"life-{number}", rootfs)
                    if number >= WARM_UP:
                        found[which].append(took)
            for client in clients:
                await client.destroy_sandbox()
    return found


# ---- a span ------------------------------------------------------------------


async def single_span(path: str) -> float:
    """Return the seconds of a span with five attributes, the best of the rounds."""

    def connect(timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(path)
        return connection

    tracing = Tracing(
        connect, flush_timeout=0, limits=TracePortLimits(queue_spans=SPANS * 99)
    )
    await tracing.start("collated")
    attributes = {f"key.{number}": "value" for number in range(4)}
    best = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(SPANS):
            with span("a.b", attributes, subsystem="bench"):
                pass
        best.append((time.perf_counter() - began) / SPANS)
        await asyncio.sleep(0.3)  # For the sender thread.
    await tracing.stop()
    return min(best)


def disabled_span() -> float:
    began = time.perf_counter()
    for _ in range(SPANS * 10):
        with span("a.b", subsystem="bench"):
            pass
    return (time.perf_counter() - began) / SPANS / 10


# ---- turning it on ---------------------------------------------------------

START: Final = """
import asyncio, json, time
import kata_agent.__main__  # Keeps out the modules that an agent never loads.
import kata_agent.main
from kata_tracing.tracing import Tracing

def resident():
    with open("/proc/self/status") as file:
        return int(file.read().split("VmRSS:")[1].split()[0]) << 10

def connect(timeout):
    raise OSError("no collector")

async def main():
    stalls, last = [0.0], time.perf_counter()
    async def tick():
        nonlocal last
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            stalls.append(now - last)
            last = now
    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.2)
    usual = max(stalls)
    stalls[:] = [0.0]
    tracing = Tracing(connect, flush_timeout=0)
    before, began = resident(), time.perf_counter()
    await tracing.start("collated")
    seconds, stall = time.perf_counter() - began, max(stalls)
    ticking.cancel()
    memory = resident() - before
    await tracing.stop()
    print(json.dumps([memory, seconds, usual, stall]))

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Start:
    """The cost of turning tracing on once, in bytes and seconds."""

    memory: int
    seconds: float
    usual: float
    """The longest turn of an event loop that only ticks, with tracing off."""
    stall: float
    """The longest turn while tracing was being turned on."""


def starts() -> list[Start]:
    """Turn tracing on in fresh processes, while their event loops tick."""
    found = []
    environment = {**os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # The first process may have to compile modules.
    for _ in range(1 + STARTS):
        done = subprocess.run(
            [sys.executable, "-OO", "-c", START],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        found.append(Start(*json.loads(done.stdout)))
    return found[1:]


# ---- all of it ---------------------------------------------------------------


def rows(directory: Path) -> Iterator[tuple[str, str, str, bool]]:
    """Yield for each figure its name, its text, its budget, and whether it holds."""
    off, hung = asyncio.run(lives(directory))
    ratio = statistics.median(h / o for h, o in zip(hung, off, strict=True))
    median = statistics.median
    yield "life, tracing off", f"{median(off) * 1e3:.1f} ms", "", True
    yield "life, collector hung", f"{median(hung) * 1e3:.1f} ms", "", True
    yield (
        "hung to off, median of the rounds",
        f"{ratio:.3f}",
        f"{LIFE_LIMIT}",
        ratio <= LIFE_LIMIT,
    )
    with hung_collector(str(directory / "port")):
        cost = asyncio.run(single_span(str(directory / "port")))
    limit = f"{SPAN_LIMIT * 1e6:.0f} µs"
    figure = f"{cost * 1e6:.1f} µs"
    yield "span with five attributes", figure, limit, cost <= SPAN_LIMIT
    yield "span, tracing off", f"{disabled_span() * 1e6:.2f} µs", "", True
    yield from start_rows(starts())


def start_rows(found: list[Start]) -> Iterator[tuple[str, str, str, bool]]:
    seconds = statistics.median(it.seconds for it in found)
    memory = statistics.median(it.memory for it in found)
    stall = statistics.median(it.stall for it in found)
    usual = statistics.median(it.usual for it in found)
    limit, holds = f"{START_LIMIT * 1e3:.0f} ms", seconds <= START_LIMIT
    yield "turning tracing on", f"{seconds * 1e3:.0f} ms", limit, holds
    limit, holds = f"{MEMORY_LIMIT >> 20} MiB", memory <= MEMORY_LIMIT
    yield "memory for turning it on", f"{memory / (1 << 20):.1f} MiB", limit, holds
    figure = f"{stall * 1e3:.1f} ms"
    yield "longest turn of the event loop meanwhile", figure, "", True
    yield "longest turn before", f"{usual * 1e3:.1f} ms", "", True


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        found = list(rows(Path(directory)))
    lines: list[Any] = ["| | measured | budget |", "|---|---|---|"]
    lines += [f"| {name} | {figure} | {limit} |" for name, figure, limit, _ in found]
    text = "\n".join(lines)
    print(text)
    if "--write" in sys.argv[1:]:
        replace_section("tracing", text)
    return int(not all(holds for *_, holds in found))


if __name__ == "__main__":
    sys.exit(main())
