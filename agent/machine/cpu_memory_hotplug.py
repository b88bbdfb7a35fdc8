# SPDX-License-Identifier: Apache-2.0
"""CPUs and memory that the host plugs in, brought online whenever they come.

The host asks once, and CPUs or memory may come after the answer: virtio-mem, for
example, adds its memory bit by bit. So from the first request on, each is brought
online when the kernel announces it.
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
from kata_agent.errors import AgentError
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

ContainerCpus = Callable[[], Iterable[tuple[PurePosixPath, str]]]
"""Returns each container's cgroup, and the list of CPUs that its host asked for."""


class CpuMemoryHotplug:
    """Brings CPUs and memory online, and lets the containers use them."""

    def __init__(
        self, paths: SystemPaths, uevents: Uevents, container_cpus: ContainerCpus
    ) -> None:
        self._paths = paths
        self._uevents = uevents
        self._container_cpus = container_cpus
        self._is_following = False
        self._running: set[asyncio.Task[None]] = set()
        uevents.listen(self._handle_event)

    async def bring_online(self, cpus: int, *, cpu_only: bool) -> None:
        """Bring CPUs and memory online; see `cpu_memory.bring_online`.

        Containers get the CPUs too. CPUs and memory that come later are brought online
        in the background.
        """
        try:
            await bring_online(self._paths, cpus, cpu_only=cpu_only)
            await self._widen()
        finally:
            if not self._is_following:
                self._is_following = True
                # In the background, because the first start of the uevents takes long.
                self._start(self._follow(cpu_only=cpu_only))

    async def _follow(self, *, cpu_only: bool) -> None:
        await self._uevents.start()
        # Events between the request and the start were not received.
        await bring_online(self._paths, 1, cpu_only=cpu_only)
        await self._widen()

    def _handle_event(self, event: Uevent) -> None:
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
        await blocking(widen_cpusets, self._paths, list(self._container_cpus()))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_log_failure(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)


async def _log_failure(work: Coroutine[Any, Any, None]) -> None:
    """Run background work and log its failure, because no caller waits for it."""
    try:
        await work
    except (AgentError, OSError) as error:
        log.warning("hotplug failed", extra={"error": str(error)})
    except Exception:
        log.exception("hotplug failed")
