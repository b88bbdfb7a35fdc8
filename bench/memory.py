# SPDX-License-Identifier: Apache-2.0
"""Resident memory of an agent after work, for `bench.budget`."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.stage import Stage, agent_pid, open_stage, resident
from kata_protos import agent_pb2

CONTAINERS: Final = 100
AT_ONCE: Final = 4
TRACE_PORT: Final = 10240
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Worked:
    """Resident memory in MiB, once no container runs any more."""

    after_containers: float
    with_tracing: float
    """After as many more containers, traced, with a collector that takes all spans."""


def measure(command: Sequence[str]) -> Worked:
    """Run containers through the agent that `command` starts, in a local guest."""
    return asyncio.run(_measure(command))


async def _measure(command: Sequence[str]) -> Worked:
    async with open_stage(command) as stage:
        pid = agent_pid(stage.guest)
        await live(stage, "plain")
        plain = resident(pid)
        with collector(f"{stage.guest.socket}_{TRACE_PORT}"):
            await stage.client.agent.start_tracing(agent_pb2.StartTracingRequest())
            await live(stage, "traced")
            traced = resident(pid)
            await stage.client.agent.stop_tracing(agent_pb2.StopTracingRequest())
    return Worked(round(plain / 2**20, 1), round(traced / 2**20, 1))


async def live(stage: Stage, name: str) -> None:
    """Create, start, wait for and remove all containers."""
    numbers = iter(range(CONTAINERS))

    async def work() -> None:
        for number in numbers:
            container = await stage.started(f"{name}-{number}", "true")
            assert await container.init.wait() == 0
            await container.remove()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


@contextlib.contextmanager
def collector(path: str) -> Iterator[None]:
    """Answer each POST on a unix socket with 200, in a thread, for the `with` block."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        # The thread ends with the last connection, which the agent closes.
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield


def _serve(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            with listener.accept()[0] as connection:
                _answer(connection)


def _answer(connection: socket.socket) -> None:
    with connection.makefile("rb") as stream:
        length = 0
        for line in stream:
            if match := _LENGTH.match(line):
                length = int(match[1])
            if line == b"\r\n":
                stream.read(length)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
