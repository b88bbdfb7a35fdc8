# SPDX-License-Identifier: Apache-2.0
"""What the host plugs into the machine itself: CPUs and memory, soon or late.

The host asks once, and what it has plugged may show up after the answer: virtio-mem
hands its memory over bit by bit. So from the first request on, each is brought online
when the kernel tells of it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Iterable
from pathlib import PurePosixPath
from typing import Any, Final

from kata_agent.blocking import blocking
from kata_agent.device.uevent import Uevent
from kata_agent.device.uevent_matcher import UeventMatcher
from kata_agent.device.uevents import Uevents
from kata_agent.machine.cpu_memory import bring_online
from kata_agent.machine.widen_cpusets import widen_cpusets
from kata_agent.system_paths import SystemPaths
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)

CPU: Final = UeventMatcher(
    description="a CPU",
    subsystem="cpu",
    devpath=re.compile(r"/devices/system/cpu/cpu[0-9]+"),
)
MEMORY: Final = UeventMatcher(
    description="a memory block",
    subsystem="memory",
    devpath=re.compile(r"/devices/system/memory/memory[0-9]+"),
)

Cpusets = Callable[[], Iterable[tuple[PurePosixPath, str]]]
"""Says each container's cgroup, and the CPUs that its host asked for."""


class Plugged:
    """Brings CPUs and memory online, and lets the containers use them."""

    def __init__(
        self, paths: SystemPaths, uevents: Uevents, containers: Cpusets
    ) -> None:
        self._paths = paths
        self._uevents = uevents
        self._containers = containers
        self._is_following = False
        self._running: set[asyncio.Task[None]] = set()
        uevents.listen(self._handle)

    async def bring_online(self, cpus: int, *, cpu_only: bool) -> None:
        """Bring CPUs and memory online (`cpu_memory`); containers get the CPUs too."""
        try:
            await bring_online(self._paths, cpus, cpu_only=cpu_only)
            await self._widen()
        finally:
            if not self._is_following:
                self._is_following = True
                # Not before the answer: the first listener takes its time to start.
                self._start(self._follow(cpu_only=cpu_only))

    async def _follow(self, *, cpu_only: bool) -> None:
        await self._uevents.start()
        # What has come since the request was looked after, and is not announced.
        await bring_online(self._paths, 1, cpu_only=cpu_only)
        await self._widen()

    def _handle(self, event: Uevent) -> None:
        if CPU.matches(event):
            self._start(self._add_cpu(event))
        elif MEMORY.matches(event):
            self._start(self._add_memory(event))

    async def _add_cpu(self, event: Uevent) -> None:
        with span(
            "cpu.online",
            {semconv.UEVENT_PATH: event.devpath},
            subsystem="device",
        ):
            await blocking(self._switch_on, event)
            await self._widen()

    async def _add_memory(self, event: Uevent) -> None:
        with span(
            "memory.online",
            {semconv.UEVENT_PATH: event.devpath},
            subsystem="device",
        ):
            await blocking(self._switch_on, event)

    def _switch_on(self, event: Uevent) -> None:
        file = self._paths.sys / event.devpath.removeprefix("/") / "online"
        file.write_text("1")

    async def _widen(self) -> None:
        await blocking(widen_cpusets, self._paths, list(self._containers()))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_logging(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)


async def _logging(work: Coroutine[Any, Any, None]) -> None:
    """Log what nobody waits for."""
    try:
        await work
    except OSError as error:
        log.warning("not online", extra={"error": str(error)})
