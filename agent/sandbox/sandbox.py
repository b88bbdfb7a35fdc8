# SPDX-License-Identifier: Apache-2.0
"""The sandbox: all containers of this guest. There is one for each agent.

No operation on one container holds a lock that an operation on another one, or a
look-up, waits for. A caller that gives up, by its connection or its deadline, ends what
works for it alone: a container whose creator has left is removed, an exec or an update
is ended. Every other operation runs to its end, so that nothing is left half-done: a
container whose starter has left runs.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.container.container import Container
from kata_agent.container.container_state import ContainerEvent, ContainerState
from kata_agent.container.identifier import check_container_id, check_exec_id
from kata_agent.container.oom_events import OomEvents
from kata_agent.container.process_list import list_processes
from kata_agent.container.stream_ports import StreamPorts
from kata_agent.device.environment import translate
from kata_agent.errors import (
    AgentError,
    AlreadyExists,
    InvalidArgument,
    InvalidState,
    Timeout,
)
from kata_agent.machine.file_copies import FileCopies
from kata_agent.oci.convert import exec_to_oci, to_oci
from kata_agent.oci.convert_resources import resources_to_oci
from kata_agent.oci.pod import is_pause_container
from kata_agent.oci.spec import Spec
from kata_agent.oci.update import prepare_update
from kata_agent.runtime.concurrency_limit import ConcurrencyLimit
from kata_agent.sandbox.adapt import ExecTarget, prepare_exec
from kata_agent.sandbox.container_builder import ContainerBuilder
from kata_agent.sandbox.guest import Guest
from kata_agent.sandbox.operations import Operations
from kata_agent.sandbox.sandbox_setup import SandboxSetup
from kata_agent.sandbox.state import TRANSITIONS, SandboxEvent, SandboxState
from kata_protos import agent_pb2, oci_pb2

log = logging.getLogger(__name__)

DESTROY_TIMEOUT: Final = 30.0
"""Seconds; Kata's runtimes wait twice as long before they kill the guest."""


class Sandbox:
    """Creates, finds and removes containers.

    The states of a sandbox are in `kata_agent.sandbox.state`.
    """

    def __init__(self, guest: Guest, destroyed: asyncio.Event | None = None) -> None:
        """`destroyed` is the event to set when DestroySandbox is done."""
        self.id = ""
        self.oom_events: Final = OomEvents()
        self.destroyed: Final = destroyed or asyncio.Event()
        """Set when DestroySandbox is done: the agent may end."""
        self.files: Final = FileCopies(guest.paths)
        """The files that `CopyFile` puts into the guest."""
        self._guest = guest
        self._state = SandboxState.OPEN
        # Held by CreateSandbox and DestroySandbox.
        self._lock = asyncio.Lock()
        self._runtime_limit = ConcurrencyLimit(2 * (os.cpu_count() or 1))
        self._setup = SandboxSetup(guest)
        self._builder = ContainerBuilder(guest, self._setup, self._runtime_limit)
        self._containers: dict[str, Container] = {}
        self._removals: dict[Container, asyncio.Task[None]] = {}
        self._operations = Operations()

    def _advance(self, event: SandboxEvent) -> None:
        self._state = TRANSITIONS[self._state, event]

    # --- the sandbox itself ---

    async def create(self, request: agent_pb2.CreateSandboxRequest) -> None:
        """Set up everything that the containers will share, or nothing if a step fails.

        Raises `AlreadyExists` when there are containers, because the setup would take
        away what they use. Kata's runtimes send the call once, before the first one.
        """
        await self._operations.complete(self._create(request))

    async def _create(self, request: agent_pb2.CreateSandboxRequest) -> None:
        async with self._lock:
            if self._containers:
                raise AlreadyExists(f"sandbox {self.id!r}: it has containers already")
            self._guest.reserve.fill()
            # Kata's runtimes may create the sandbox again; the setup starts over then.
            await self._take_down()
            await self._setup.set_up(request)
            self.id = request.sandbox_id
            self.destroyed.clear()
            self.oom_events.open()

    async def _take_down(self) -> None:
        reserve = self._guest.reserve
        # First, because these files would keep the shared directory busy.
        await reserve.undo(lambda: blocking(self.files.discard_partial))
        await reserve.undo(self._setup.take_down)

    async def destroy(self) -> None:
        """Remove every container and everything shared, if there is any.

        Goes on after a failure, and raises the first one at the end. Raises `Timeout`
        after `DESTROY_TIMEOUT` seconds, because a process that waits for a share whose
        server is gone cannot be killed. The agent may end even so.
        """
        try:
            async with asyncio.timeout(DESTROY_TIMEOUT) as limit:
                await self._operations.complete(self._destroy())
        except TimeoutError as error:
            if not limit.expired():
                raise
            self._advance(SandboxEvent.TIME_OUT)
            self.oom_events.close()
            self.destroyed.set()
            raise Timeout(
                f"sandbox {self.id!r}: not destroyed within {DESTROY_TIMEOUT:g} s"
            ) from error

    async def end(self) -> None:
        """Destroy the sandbox because the agent ends; log a failure."""
        if self._state is SandboxState.STUCK:
            return
        try:
            await self.destroy()
        except (AgentError, OSError) as error:
            log.error("sandbox not destroyed", extra={"error": str(error)})

    async def _destroy(self) -> None:
        self._setup.interrupt()
        async with self._lock:
            self._advance(SandboxEvent.DESTROY)
            try:
                results = await asyncio.gather(
                    *map(self._begin_removal, self.containers), return_exceptions=True
                )
                await self._builder.copies.finish()
                await self._take_down()
                for container in self.containers:
                    self._forget_if_gone(container)
            finally:
                self._advance(SandboxEvent.DESTROYED)
                self.id = ""
                self.oom_events.close()
                self._builder.watches.close()
                self.destroyed.set()
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    # --- containers ---

    @property
    def containers(self) -> list[Container]:
        return list(self._containers.values())

    def container(self, container_id: str) -> Container:
        """Return a container. Raises `InvalidArgument` for an unknown one."""
        container = self._containers.get(container_id)
        if container is None:
            check_container_id(container_id)
            raise InvalidArgument(f"container {container_id!r}: not found")
        return container

    async def create_container(
        self, request: agent_pb2.CreateContainerRequest, *, agent_pid: bool = False
    ) -> None:
        """Build a container up to the moment before its program runs.

        `agent_pid` puts it into the agent's own pid namespace. Raises `AgentError`
        for a request that cannot be fulfilled; nothing is left of the container then.
        """
        container_id = request.container_id
        check_container_id(container_id)
        if self._state is not SandboxState.OPEN:
            raise InvalidState(f"container {container_id!r}: the sandbox is ending")
        if (existing := self._containers.get(container_id)) is not None:
            # An id is free when nothing of it is left.
            being = ", and is being removed" if existing in self._removals else ""
            raise AlreadyExists(f"container {container_id!r}: already exists{being}")
        if not request.HasField("OCI"):
            raise InvalidArgument(f"container {container_id!r}: no OCI spec")
        self._guest.reserve.fill()
        spec = to_oci(request.OCI)
        container = self._builder.new(container_id, spec, self.containers)
        self._containers[container_id] = container
        try:
            await self._operations.complete(
                self._build(container, request, spec, agent_pid=agent_pid)
            )
        except asyncio.CancelledError:
            # The caller has gone, and nobody will ever ask for this container.
            self._operations.abandon(self._begin_removal(container))
            raise

    async def _build(
        self,
        container: Container,
        request: agent_pb2.CreateContainerRequest,
        spec: Spec,
        *,
        agent_pid: bool,
    ) -> None:
        async with container.lifecycle.lock:
            try:
                await self._builder.build(
                    container,
                    request,
                    spec,
                    others=lambda: self.containers,
                    agent_pid=agent_pid,
                )
            finally:
                self._forget_if_gone(container)

    async def start_container(self, container_id: str) -> None:
        """Run a created container's program."""
        container = self.container(container_id)

        def report() -> None:
            self.oom_events.report(container_id)

        # Runtimes report each event as one of a task of containerd, or of CRI-O, which
        # know the pause container as the pod.
        on_oom = None if is_pause_container(container.spec) else report

        async def start() -> None:
            async with (
                container.lifecycle.change(ContainerEvent.START),
                self._runtime_limit.slot(),
            ):
                await container.start(on_oom)

        await self._operations.complete(start())

    async def exec_process(self, request: agent_pb2.ExecProcessRequest) -> None:
        """Run another process in a container."""
        container = self.container(request.container_id)
        check_exec_id(container.id, request.exec_id)
        container.lifecycle.check(ContainerEvent.EXEC)
        process = exec_to_oci(request.process)
        if "env" in process:
            process["env"] = translate(process["env"], container.pci_addresses)
        streams = StreamPorts(
            request.stdin_port, request.stdout_port, request.stderr_port
        )

        start = container.processes.begin_start(request.exec_id)

        async def run() -> None:
            async with (
                start.step("start"),
                container.lifecycle.step(ContainerEvent.EXEC),
            ):
                await blocking(
                    prepare_exec,
                    process,
                    ExecTarget(
                        id=container.id,
                        init=container.spec["process"],
                        requested=container.requested,
                        root=container.proc / "root",
                    ),
                    string_user=request.string_user,
                    cgroup_files=self._builder.cgroup_files,
                    paths=self._guest.paths,
                )
                async with self._runtime_limit.slot():
                    await container.exec(request.exec_id, process, streams)

        # The id is kept from this turn of the loop on, for a SIGKILL that comes next.
        await self._operations.attend(
            run(), ended=lambda: container.processes.end_start(request.exec_id)
        )

    async def pause_container(self, container_id: str) -> None:
        """Freeze a container."""
        container = self.container(container_id)

        async def pause() -> None:
            async with container.lifecycle.change(ContainerEvent.PAUSE):
                await container.pause()

        await self._operations.complete(pause())

    async def resume_container(self, container_id: str) -> None:
        """Let a frozen container go on."""
        container = self.container(container_id)

        async def resume() -> None:
            async with container.lifecycle.change(ContainerEvent.RESUME):
                await container.resume()

        await self._operations.complete(resume())

    async def update_container(
        self, container_id: str, message: oci_pb2.LinuxResources
    ) -> None:
        """Change a container's resources; limits that the message leaves out stay.

        Raises `InvalidArgument` for a message that has nothing but device rules.
        """
        container = self.container(container_id)
        resources = resources_to_oci(message)
        wanted_cpus = resources.get("cpu", {}).get("cpus", "")

        async def update() -> None:
            # An update may be completed by the values that an earlier one has set.
            async with (
                container.lifecycle.change(ContainerEvent.UPDATE),
                self._runtime_limit.slot(),
            ):
                await blocking(
                    prepare_update,
                    resources,
                    container.resources,
                    container_id=container.id,
                    files=self._builder.cgroup_files,
                    paths=self._guest.paths,
                )
                await container.update(resources)
                container.wanted_cpus = wanted_cpus or container.wanted_cpus

        await self._operations.attend(update())

    async def list_processes(
        self, container_id: str, list_format: str, arguments: Sequence[str]
    ) -> bytes:
        """Return a container's processes; see `kata_agent.container.process_list`."""
        cgroup = self.container(container_id).cgroup
        return await list_processes(cgroup, list_format, arguments, self._guest.reaper)

    async def update_ephemeral_mounts(
        self, messages: Sequence[agent_pb2.Storage]
    ) -> None:
        """Change ephemeral storages, usually their size."""
        self._guest.reserve.fill()
        await self._operations.complete(self._guest.storages.update_ephemeral(messages))

    async def remove_container(self, container_id: str, timeout: float = 0) -> None:
        """Kill and delete a container.

        Raises `Timeout` after `timeout` seconds, if they are not 0. The removal goes on
        then, and the next call waits for the same removal.
        """
        removal = self._begin_removal(self.container(container_id))
        try:
            async with asyncio.timeout(timeout or None):
                await asyncio.shield(removal)
        except TimeoutError:
            raise Timeout(
                f"container {container_id!r}: not removed within {timeout:g} s, "
                "the removal goes on"
            ) from None

    def _begin_removal(self, container: Container) -> asyncio.Task[None]:
        removal = self._removals.get(container)
        if removal is None:
            removal = self._operations.start(self._remove(container))
            self._removals[container] = removal
            removal.add_done_callback(lambda _: self._removals.pop(container, None))
        return removal

    async def _remove(self, container: Container) -> None:
        container.lifecycle.interrupt()
        reserve, storages = self._guest.reserve, self._guest.storages
        if not container.lifecycle.is_idle:
            # What waits for one of its processes ends sooner when they are dead.
            await reserve.undo(container.kill)
        async with container.lifecycle.lock:
            if self._containers.get(container.id) is not container:
                # Its creation failed and was undone; the id may be that of another one.
                return
            await reserve.undo(lambda: container.remove(self._runtime_limit.slot()))
            try:
                await reserve.undo(lambda: storages.remove_for(container.id))
            finally:
                self._forget_if_gone(container)

    def _forget_if_gone(self, container: Container) -> None:
        """Free the id of a container of which nothing is left.

        While there is something, another removal can take it away.
        """
        left = self._guest.storages.is_used_by(container.id)
        if container.lifecycle.state is ContainerState.REMOVED and not left:
            del self._containers[container.id]
