# SPDX-License-Identifier: Apache-2.0
"""One container: its state, and the operations on it.

The operations are steps of the container's `lifecycle`: callers begin them there.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import signal
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.cgroup.cgroup import Cgroup
from kata_agent.cgroup.kill import kill_until_empty
from kata_agent.child import Child
from kata_agent.container.bundle import Bundle
from kata_agent.container.container_state import ContainerEvent, ContainerState
from kata_agent.container.diagnostic import read_diagnostic
from kata_agent.container.ending import is_ending
from kata_agent.container.hooks import (
    RUN_BY_AGENT,
    has_work_after_exit,
    run_hooks,
    running_state,
)
from kata_agent.container.launch import (
    Start,
    killed_on_failure,
    launch_on_pipes,
    launch_on_terminal,
)
from kata_agent.container.lifecycle import Lifecycle
from kata_agent.container.oom_score import set_oom_score
from kata_agent.container.process import Process, ProcessState, trace_run
from kata_agent.container.process_table import ProcessTable
from kata_agent.container.program_hold import program_held
from kata_agent.container.signals import ignores_term, is_namespace_init
from kata_agent.container.stream_connections import StreamConnections
from kata_agent.container.stream_copies import StreamCopies
from kata_agent.container.stream_ports import StreamPorts
from kata_agent.container.stream_source import StreamSource
from kata_agent.errors import Internal, InvalidArgument, InvalidState
from kata_agent.network.stats import read_network_stats
from kata_agent.oci.process import Requested
from kata_agent.oci.resources import UNLIMITED, merge_resources, pop_unlimited
from kata_agent.oci.spec import Spec
from kata_agent.oci.working_directory import check_after, resolve_before
from kata_agent.reaper import Reaper
from kata_agent.runtime.runtime import Runtime
from kata_agent.runtime.standard_files import StandardFiles
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)

_NO_LIMIT: Final = contextlib.nullcontext()

KILLED: Final = 128 + signal.SIGKILL
"""The exit code of a process that was killed."""
FREEZE_TIMEOUT: Final = 5.0
"""Seconds for PauseContainer; a process in an uninterruptible sleep never freezes."""


class Container:
    """A container of this sandbox, from its creation to its removal."""

    def __init__(
        self,
        container_id: str,
        *,
        runtime: Runtime,
        reaper: Reaper,
        bundle: Bundle,
        cgroup: Cgroup,
        cgroup_path: PurePosixPath,
        paths: SystemPaths,
        pipe_size: int = 0,
        streams: StreamSource | None = None,
        copies: StreamCopies,
    ) -> None:
        self.id: Final = container_id
        self.lifecycle: Final = Lifecycle(container_id, self._is_ending)
        self.processes: Final = ProcessTable(container_id)
        self.spec: Spec = {}
        self.requested = Requested()
        """Its process as the host asked for it; an exec takes missing parts from it."""
        self.wanted_cpus = ""
        """The CPU list that the host asked for, also CPUs that the guest lacks."""
        self.pci_addresses: Mapping[str, str] = {}
        """The guest's PCI address of each of the host's, of the container's devices."""
        self.cgroup: Final = cgroup
        self.cgroup_path: Final = cgroup_path
        self._runtime = runtime
        self._reaper = reaper
        self._bundle = bundle
        self._proc = paths.proc
        self._sockets = paths.runtime
        self._pipe_size = pipe_size
        self._streams = streams
        self._copies = copies
        self._init: Child | None = None
        self._poststart: list[Spec] = []
        self._runs_poststart = False
        self._stop_oom_watch: Callable[[], None] | None = None
        self.owns_cgroup = False
        """Whether all processes of the cgroup are its own, to be killed with it."""

    def _is_ending(self) -> bool:
        return self._init is None or is_ending(self._proc, self._init.pid)

    @property
    def proc(self) -> Path:
        """The init's directory in `/proc`. Raises `InvalidState` without an init."""
        # The exit code is there one turn of the loop before the event of the exit.
        if self._init is None or self._init.exit_code is not None:
            raise InvalidState(f"container {self.id!r}: its init does not run")
        return self._proc / str(self._init.pid)

    @property
    def resources(self) -> Spec:
        """The OCI resources that the container has; empty before its creation."""
        found: Spec = self.spec.get("linux", {}).get("resources", {})
        return found

    @property
    def hook_output(self) -> Path:
        """The pipe to which the container's hooks write."""
        return self._bundle.hook_output.path

    async def create(self, spec: Spec, streams: StreamPorts) -> None:
        """Have the runtime build the container from a spec that is already adapted.

        `streams` are the ports of the init's streams.
        """
        self.spec = spec
        self._poststart = spec.get("hooks", {}).pop(RUN_BY_AGENT, [])
        self._bundle.write(spec)
        with span(
            "process.create", {semconv.CONTAINER_ID: self.id}, subsystem="container"
        ):
            with self._bundle.hook_output.drained():
                self._init = await self._launch(
                    self.id,
                    spec["process"]["terminal"],
                    lambda files: self._runtime.create(
                        self.id, self._bundle.path, files
                    ),
                    streams,
                )
            if (cwd := spec["process"]["cwd"]) != "/":
                with killed_on_failure(self._init):
                    await self._check_directory(cwd, self._init)
        self.lifecycle.advance(ContainerEvent.CREATE)
        self._init.on_exit(self._init_ended)

    def _init_ended(self, exit_code: int) -> None:
        self.lifecycle.advance(ContainerEvent.EXIT)
        if exit_code == KILLED and self._runs_poststart:
            # By whoever: also by the kernel, or by a SIGTERM that became SIGKILL.
            self.lifecycle.kill()
        log.info(
            "container ended",
            extra={"container_id": self.id, "exit_code": exit_code},
        )

    async def _launch(
        self,
        exec_id: str,
        terminal: bool,
        start: Start,
        streams: StreamPorts,
        owner: int | None = None,
    ) -> Child:
        connections = await StreamConnections.open(streams, self._streams)
        try:
            if terminal:
                child, stdio = await launch_on_terminal(
                    start, sockets=self._sockets, owner=owner
                )
            else:
                child, stdio = await launch_on_pipes(
                    start, pipe_size=self._pipe_size, runs=exec_id != self.id
                )
            process = Process(exec_id, child, stdio)
            process.stream(connections, self._copies)
        finally:
            connections.close()
        self.processes.add(process)
        return child

    async def start(self, on_oom: Callable[[], None] | None) -> None:
        """Execute the init's program; `on_oom` is called for each OOM kill."""
        if on_oom is not None:
            # Before the first instruction, so that no kill is missed.
            self._stop_oom_watch = self.cgroup.watch_oom(on_oom)
        with span(
            "process.start", {semconv.CONTAINER_ID: self.id}, subsystem="container"
        ):
            assert self._init is not None
            trace_run(self.id, self.id, self._init)
            try:
                await self._start_program(self._init)
                await self._run_poststart()
            except BaseException:
                # A poststart hook fails after the program has begun.
                await self.cgroup.kill()
                raise
        self.lifecycle.advance(ContainerEvent.START)

    async def _start_program(self, init: Child) -> None:
        try:
            with self._bundle.hook_output.drained():
                await self._runtime.start(self.id)
        except Internal as error:
            # An init whose program cannot be executed ends by itself.
            if self._is_ending() and await init.wait() == KILLED:
                raise InvalidState(
                    f"container {self.id!r}: cannot start, it was killed ({error})"
                ) from error
            raise

    async def _run_poststart(self) -> None:
        if not self._poststart:
            return
        assert self._init is not None
        state = running_state(self.id, self.spec, self._init.pid, self._bundle.path)
        self._runs_poststart = True
        if self._init.exit_code == KILLED:
            self.lifecycle.kill()
        try:
            await run_hooks(self._poststart, state, self._reaper)
        except Internal as error:
            raise Internal(f"container {self.id!r}: start failed: {error}") from error
        finally:
            self._runs_poststart = False

    async def exec(self, exec_id: str, process: Spec, streams: StreamPorts) -> None:
        """Start another process, whose spec is already adapted.

        Its id is kept by `ProcessTable.begin_start`.
        """
        if (cwd := process["cwd"]) != "/":
            cwd = await blocking(resolve_before, self.id, cwd, self.proc / "root")

        async def start(files: StandardFiles) -> Child:
            child = await self._runtime.exec(self.id, {**process, "cwd": cwd}, files)
            with killed_on_failure(child):
                set_oom_score(self._proc, child.pid, process["oomScoreAdj"])
                if cwd != "/":
                    await self._check_directory(cwd, child)
            return child

        with span(
            "process.exec",
            {semconv.CONTAINER_ID: self.id, semconv.EXEC_ID: exec_id},
            subsystem="container",
        ):
            async with self._held(process):
                child = await self._launch(
                    exec_id, process["terminal"], start, streams, self._owner(process)
                )
            trace_run(self.id, exec_id, child)

    def _held(self, process: Spec) -> contextlib.AbstractAsyncContextManager[None]:
        if process["terminal"] and self._runtime.prepares_terminal_late:
            return program_held(process, self.proc)
        return contextlib.nullcontext()

    def _owner(self, process: Spec) -> int | None:
        """Return the owner of an exec's terminal, as the agent sees the id."""
        if "uidMappings" in self.spec["linux"]:
            return None
        uid: int = process["user"]["uid"]
        return uid

    async def _check_directory(self, cwd: str, child: Child) -> None:
        """Raise `InvalidArgument` for a process that begins outside its container."""
        await blocking(check_after, self.id, cwd, self._proc / str(child.pid))

    async def pause(self) -> None:
        """Freeze every process; returns once the kernel has confirmed it.

        Raises `InvalidState` also if the init ends meanwhile, and `Timeout`.
        """
        with span(
            "cgroup.freeze", {semconv.CONTAINER_ID: self.id}, subsystem="container"
        ):
            await self.cgroup.freeze(FREEZE_TIMEOUT)
            assert self._init is not None
            # Its exit may have come during the freeze and not been collected yet.
            self._init.poll()
            if self._init.exit_code is not None:
                await self.cgroup.thaw()
                raise InvalidState(
                    f"container {self.id!r}: cannot {ContainerEvent.PAUSE}, "
                    f"it is {ContainerState.STOPPED}"
                )
        self.lifecycle.advance(ContainerEvent.PAUSE)

    async def resume(self) -> None:
        """Thaw a paused container."""
        with span(
            "cgroup.thaw", {semconv.CONTAINER_ID: self.id}, subsystem="container"
        ):
            await self.cgroup.thaw()
        self.lifecycle.advance(ContainerEvent.RESUME)

    async def update(self, resources: Spec) -> None:
        """Apply OCI resources; limits that they do not name stay."""
        limits = copy.deepcopy(resources)
        for name in pop_unlimited(limits):
            await blocking(self.cgroup.remove_limit, name)
            part, _, limit = name.partition(".")
            resources[part][limit] = UNLIMITED
        if limits:
            await self._runtime.update(self.id, limits)
        merge_resources(self.resources, resources)

    async def stats(self) -> agent_pb2.StatsContainerResponse:
        """Read the statistics of the cgroup and of the guest's network."""
        return agent_pb2.StatsContainerResponse(
            cgroup_stats=await blocking(self.cgroup.stats),
            network_stats=await blocking(read_network_stats, self._proc),
        )

    async def diagnostic(self, log_type: str) -> str:
        """Return the container's termination message; see `diagnostic.py`."""
        return await blocking(read_diagnostic, log_type, self.spec)

    async def signal(self, exec_id: str, number: int) -> None:
        """Send signal `number` to one process.

        SIGKILL without an exec id goes to every process of the container. SIGKILL ends
        the start of a process that is being started. SIGTERM to an init that would
        ignore it becomes SIGKILL. A signal to a process that has ended is dropped.
        Raises `InvalidArgument` for an unknown signal, and `NotFound`.
        """
        if not 0 <= number < signal.NSIG:
            raise InvalidArgument(f"container {self.id!r}: no signal {number}")
        if not exec_id and number == signal.SIGKILL:
            await self.kill()
            return
        is_init = exec_id in ("", self.id)
        if number == signal.SIGKILL and self._kill_start(exec_id, is_init=is_init):
            return
        process = self.processes.find(exec_id)
        if number == signal.SIGTERM and is_init:
            if process.state is ProcessState.RUNNING and ignores_term(
                self._proc, process.pid
            ):
                number = signal.SIGKILL
        if number == signal.SIGKILL and is_init:
            if self.lifecycle.state.is_paused:
                # In cgroup v1 it would otherwise die only at the resume.
                await self.cgroup.kill()
            elif self.owns_cgroup and is_namespace_init(self._proc, process.pid):
                await self.cgroup.prepare_kill()
        process.send_signal(number)
        if number == signal.SIGKILL and not self.lifecycle.state.is_paused:
            await self.cgroup.thaw_nested(process.wait)

    def _kill_start(self, exec_id: str, *, is_init: bool) -> bool:
        """End the start of a process; tell whether that is all there is of it."""
        if not is_init:
            return self.processes.kill_start(exec_id)
        self.lifecycle.kill()
        return self.lifecycle.state is ContainerState.CREATING

    async def kill(self) -> None:
        """Send SIGKILL to every process of the container, frozen or not.

        What is being started ends too.
        """
        if not self.lifecycle.is_interrupted:
            self.lifecycle.kill()
            self.processes.kill_starts()
        if self.owns_cgroup:
            await self.cgroup.kill()

    async def remove(
        self, slot: contextlib.AbstractAsyncContextManager[None] = _NO_LIMIT
    ) -> None:
        """Kill every process, and delete the container except for its storages.

        The runtime runs inside `slot`, which limits how many run at once.
        """
        if self.lifecycle.state is ContainerState.REMOVED:
            return
        self.lifecycle.interrupt()
        await self.lifecycle.wait_for_steps()
        with span(
            "container.kill", {semconv.CONTAINER_ID: self.id}, subsystem="container"
        ):
            if self._init is not None:
                if self.owns_cgroup and self._init.exit_code is None:
                    await self.cgroup.prepare_kill()
                # A runtime that failed half-way leaves the init in another cgroup.
                self.processes.signal_all(signal.SIGKILL)
            if self.owns_cgroup:
                await kill_until_empty(self.cgroup)
            if self._init is not None:
                await self._init.wait()
        if self._stop_oom_watch is not None:
            self._stop_oom_watch()
            self._stop_oom_watch = None
        if not (self._leaves_only_files() and await blocking(self._remove_files)):
            async with slot:
                with self._bundle.hook_output.drained():
                    await self._runtime.delete(self.id)
            with self._cgroup_removal():
                if self.owns_cgroup:
                    await self.cgroup.remove()
            await blocking(self._bundle.remove)
        self.lifecycle.advance(ContainerEvent.REMOVE)
        self.processes.close()

    def _remove_files(self) -> bool:
        """Remove all that is left in one go; tell whether that was all. Blocks."""
        if not self._runtime.forget(self.id):
            return False
        with self._cgroup_removal():
            if not self.cgroup.try_remove():
                return False
        self._bundle.remove()
        return True

    def _cgroup_removal(self) -> contextlib.AbstractContextManager[object]:
        return span(
            "cgroup.remove", {semconv.CONTAINER_ID: self.id}, subsystem="container"
        )

    def _leaves_only_files(self) -> bool:
        """Tell whether the runtime has nothing to end, to undo or to run.

        A creation that failed may have left anything.
        """
        return (
            self._init is not None
            and self.owns_cgroup
            and not has_work_after_exit(self.spec)
        )
