# SPDX-License-Identifier: Apache-2.0
"""One container: its state and what can be done with it.

Operations that change the state are ordered by `order`; those that only look,
and signals, waits and streams, never wait for it.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import signal
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final

from agent.blocking import blocking
from agent.bundle import Bundle
from agent.cgroup import Cgroup
from agent.errors import InvalidArgument, InvalidState
from agent.launch import Start, launch_on_pipes, launch_on_terminal
from agent.paths import SystemPaths
from agent.process import Process
from agent.process_table import ProcessTable
from agent.reaper import Child
from agent.runtime import Runtime
from agent.signals import ignores_term
from agent.spec import Spec
from tracing.span import span

log = logging.getLogger(__name__)

FREEZE_TIMEOUT: Final = 5.0
"""Seconds for PauseContainer; a process in an uninterruptible sleep never freezes."""


class ContainerState(enum.StrEnum):
    """Where a container is in its life."""

    CREATING = "creating"
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    REMOVED = "removed"


_ALLOWED: Final = {
    "create": (ContainerState.CREATING,),
    "start": (ContainerState.CREATED,),
    "exec": (ContainerState.CREATED, ContainerState.RUNNING),
    "pause": (ContainerState.CREATED, ContainerState.RUNNING),
    "resume": (ContainerState.PAUSED,),
    "update": (ContainerState.CREATED, ContainerState.RUNNING, ContainerState.PAUSED),
}
"""The states from which each operation may be asked for."""


class Container:
    """A container of this sandbox, from its creation to its removal."""

    def __init__(
        self,
        container_id: str,
        *,
        runtime: Runtime,
        bundle: Bundle,
        cgroup: Cgroup,
        cgroup_path: PurePosixPath,
        paths: SystemPaths,
        pipe_size: int = 0,
    ) -> None:
        self.id: Final = container_id
        self.order: Final = asyncio.Lock()
        self.state = ContainerState.CREATING
        self.processes: Final = ProcessTable(container_id)
        self.spec: Spec = {}
        self.cgroup: Final = cgroup
        self.cgroup_path: Final = cgroup_path
        self._runtime = runtime
        self._bundle = bundle
        self._proc = paths.proc
        self._sockets = paths.runtime
        self._pipe_size = pipe_size
        self._before_pause = ContainerState.RUNNING
        self._init: Child | None = None
        self._stop_oom_watch: Callable[[], None] | None = None

    def check(self, operation: str) -> None:
        """Raise unless the container's state allows `operation`."""
        if self.state is ContainerState.REMOVED:
            raise InvalidArgument(f"container {self.id!r}: not found")
        if self.state not in _ALLOWED[operation]:
            raise InvalidState(
                f"container {self.id!r}: cannot {operation}, it is {self.state}"
            )

    async def create(self, spec: Spec) -> None:
        """Have the runtime build the container from a prepared spec."""
        self.check("create")
        self.spec = spec
        await blocking(self._bundle.write, spec)
        with span("process.create", subsystem="container", **{"container.id": self.id}):
            self._init = await self._launch(
                self.id,
                spec["process"]["terminal"],
                lambda files: self._runtime.create(self.id, self._bundle.path, files),
            )
        self.state = ContainerState.CREATED
        self._init.on_exit(self._init_ended)

    def _init_ended(self, exit_code: int) -> None:
        if self.state is not ContainerState.REMOVED:
            self.state = ContainerState.STOPPED
        log.info(
            "container ended",
            extra={"container_id": self.id, "exit_code": exit_code},
        )

    async def _launch(
        self,
        exec_id: str,
        terminal: bool,
        start: Start,
    ) -> Child:
        if terminal:
            child, stdio = await launch_on_terminal(start, sockets=self._sockets)
        else:
            child, stdio = await launch_on_pipes(start, pipe_size=self._pipe_size)
        self.processes.add(Process(exec_id, child, stdio))
        return child

    async def start(self, on_oom: Callable[[], None]) -> None:
        """Execute the init's program; `on_oom` is called for each OOM kill."""
        self.check("start")
        # Before the first instruction, so that no kill is missed.
        self._stop_oom_watch = self.cgroup.watch_oom(on_oom)
        with span("process.start", subsystem="container", **{"container.id": self.id}):
            await self._runtime.start(self.id)
        if self.state is ContainerState.CREATED:
            # Not when it has ended already.
            self.state = ContainerState.RUNNING

    async def exec(self, exec_id: str, process: Spec) -> None:
        """Start another process."""
        self.check("exec")
        with (
            self.processes.reserve(exec_id),
            span("process.exec", subsystem="container", **{"container.id": self.id}),
        ):
            await self._launch(
                exec_id,
                process["terminal"],
                lambda files: self._runtime.exec(self.id, process, files),
            )

    async def pause(self) -> None:
        """Freeze every process; confirmed by the kernel."""
        self.check("pause")
        try:
            await self.cgroup.freeze(FREEZE_TIMEOUT)
        except BaseException:
            await self.cgroup.thaw()
            raise
        self._before_pause, self.state = self.state, ContainerState.PAUSED

    async def resume(self) -> None:
        """Let a paused container go on."""
        self.check("resume")
        await self.cgroup.thaw()
        self.state = self._before_pause

    async def update(self, resources: Spec) -> None:
        """Apply OCI resources; what they do not name stays."""
        self.check("update")
        await self._runtime.update(self.id, resources)

    async def signal(self, exec_id: str, number: int) -> None:
        """Send a signal to one process, or SIGKILL for no exec id to them all.

        SIGTERM to an init that would ignore it becomes SIGKILL. A process that
        has ended takes any signal.
        """
        if not 0 <= number < signal.NSIG:
            raise InvalidArgument(f"container {self.id!r}: no signal {number}")
        if not exec_id and number == signal.SIGKILL:
            await self.cgroup.kill()
            return
        process = self.processes.find(exec_id)
        if number == signal.SIGTERM and process.exec_id == self.id:
            if process.is_running and ignores_term(self._proc, process.pid):
                number = signal.SIGKILL
        process.send_signal(number)

    async def kill(self) -> None:
        """Send SIGKILL to every process of the container, frozen or not."""
        await self.cgroup.kill()

    async def remove(self) -> None:
        """Kill what runs and delete everything of the container but its storages."""
        if self.state is ContainerState.REMOVED:
            return
        with span("container.kill", subsystem="container", **{"container.id": self.id}):
            await self.cgroup.kill()
            if self._init is not None:
                # A runtime that was stopped half-way leaves the init elsewhere.
                self.processes.signal_all(signal.SIGKILL)
                await self._init.wait()
            await self.cgroup.wait_for_empty()
        if self._stop_oom_watch is not None:
            self._stop_oom_watch()
            self._stop_oom_watch = None
        await self._runtime.delete(self.id, force=True)
        await self.cgroup.remove()
        await blocking(self._bundle.remove)
        self.state = ContainerState.REMOVED
        self.processes.close()
