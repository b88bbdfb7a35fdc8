# SPDX-License-Identifier: Apache-2.0
"""The sandbox: all containers of this guest and what they share. One per agent.

No operation holds a lock that another container's, or a look-up, would wait for.
An operation that a caller gave up on still runs to its end, so that nothing is
left half-done; a container whose creator left is removed again.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Final, Protocol

from kata_agent.blocking import blocking
from kata_agent.cgroup.open import open_cgroup, to_path
from kata_agent.cgroup.supported import ChildFiles
from kata_agent.cgroup.watches import Watches
from kata_agent.container.bundle import Bundle
from kata_agent.container.container import Container
from kata_agent.container.identifier import check_container_id, check_exec_id
from kata_agent.container.oom import OomEvents
from kata_agent.container.process_list import list_processes
from kata_agent.container.stdio_dial import StreamPorts, StreamSource
from kata_agent.errors import (
    AgentError,
    AlreadyExists,
    InvalidArgument,
    InvalidState,
    Timeout,
)
from kata_agent.machine.file_copies import FileCopies
from kata_agent.oci.adapt import Preparation, fit_process, inherit, prepare
from kata_agent.oci.convert import Spec, process_to_oci, resources_to_oci, to_oci
from kata_agent.oci.resources import can_filter_devices, drop_mknod, fit_resources
from kata_agent.oci.user import apply_user
from kata_agent.options.config import Config
from kata_agent.reaper import Reaper
from kata_agent.runtime.concurrency import Slots
from kata_agent.runtime.runtime import Runtime
from kata_agent.sandbox.operations import Operations
from kata_agent.sandbox.shared import Storages, Surroundings
from kata_agent.sandbox.shared_mount import share_mount
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2, oci_pb2
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)

DESTROY_TIMEOUT: Final = 30.0
"""Seconds; Kata's runtimes wait twice as long before they kill the guest."""


class Devices(Protocol):
    """Devices that the host gave the guest: `kata_agent.device`."""

    async def add(self, messages: Sequence[agent_pb2.Device], spec: Spec) -> None:
        """Wait for the devices, put their numbers and all rules into the spec."""
        ...

    def translate_environment(self, env: Iterable[str]) -> list[str]:
        """Return an environment with the guest's addresses of devices."""
        ...


class Sandbox:
    """Creates containers, finds them, and takes everything down again."""

    def __init__(
        self,
        config: Config,
        paths: SystemPaths,
        reaper: Reaper,
        runtime: Runtime,
        storages: Storages,
        devices: Devices,
        *,
        streams: StreamSource | None = None,
    ) -> None:
        self.id = ""
        self.oom_events: Final = OomEvents()
        self.destroyed: Final = asyncio.Event()
        """Set when DestroySandbox is done: the agent may end."""
        self.files: Final = FileCopies(paths)
        """What `CopyFile` puts into the guest."""
        self._config = config
        self._paths = paths
        self._reaper = reaper
        self._runtime = runtime
        self._storages = storages
        self._devices = devices
        self._streams = streams
        self._surroundings = Surroundings(paths, reaper, storages)
        self._watches = Watches()
        self._cgroup_files = ChildFiles(paths.cgroup)
        self._containers: dict[str, Container] = {}
        self._removals: dict[Container, asyncio.Task[None]] = {}
        self._operations = Operations()
        self._slots = Slots(2 * (os.cpu_count() or 1))
        self._order = asyncio.Lock()
        self._is_ending = False
        self._is_stuck = False

    # --- the sandbox itself ---

    async def create(self, request: agent_pb2.CreateSandboxRequest) -> None:
        """Set up what the containers will share. Undoes everything when it fails."""
        await self._operations.complete(self._create(request))

    async def _create(self, request: agent_pb2.CreateSandboxRequest) -> None:
        async with self._order:
            if self._containers:
                raise AlreadyExists(f"sandbox {self.id!r}: it has containers already")
            # Kata's runtimes may create the sandbox again: it starts over.
            await self._surroundings.take_down()
            await self._surroundings.set_up(request)
            self.id = request.sandbox_id
            self.destroyed.clear()
            self.oom_events.open()

    async def destroy(self) -> None:
        """Remove every container and everything shared; once gone, do nothing.

        Goes on after a failure, and raises the first one at the end. Raises `Timeout`
        when it takes too long: a process that waits for a share whose server is gone
        cannot be killed. The agent may end all the same.
        """
        try:
            async with asyncio.timeout(DESTROY_TIMEOUT) as limit:
                await self._operations.complete(self._destroy())
        except TimeoutError as error:
            if not limit.expired():
                raise
            self._is_stuck = True
            self.oom_events.close()
            self.destroyed.set()
            raise Timeout(
                f"sandbox {self.id!r}: not destroyed within {DESTROY_TIMEOUT:g} s"
            ) from error

    async def end(self) -> None:
        """Destroy the sandbox, as far as it can be, since the agent ends."""
        if self._is_stuck:
            return
        try:
            await self.destroy()
        except (AgentError, OSError) as error:
            log.error("sandbox not destroyed", extra={"error": str(error)})

    async def _destroy(self) -> None:
        async with self._order:
            self._is_ending = True
            try:
                results = await asyncio.gather(
                    *map(self._begin_removal, self.containers), return_exceptions=True
                )
                # Before the shared directory is unmounted, which they would keep busy.
                await blocking(self.files.discard_partial)
                await self._surroundings.take_down()
            finally:
                self._is_ending = False
                self.id = ""
                self.oom_events.close()
                self._watches.close()
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

        `agent_pid` puts it into the agent's own pid namespace.
        """
        container_id = request.container_id
        check_container_id(container_id)
        if self._is_ending:
            raise InvalidState(f"container {container_id!r}: the sandbox is ending")
        if container_id in self._containers:
            raise AlreadyExists(f"container {container_id!r}: already exists")
        if not request.HasField("OCI"):
            raise InvalidArgument(f"container {container_id!r}: no OCI spec")
        spec = to_oci(request.OCI)
        container = self._new_container(container_id, spec)
        self._containers[container_id] = container
        # 1.x says it once for the sandbox, 4.x with each container.
        shares_pid = self._surroundings.shares_pid or request.sandbox_pidns
        pid = "agent" if agent_pid else "shared" if shares_pid else "own"
        try:
            await self._operations.complete(
                self._create_container(container, request, spec, pid=pid)
            )
        except asyncio.CancelledError:
            # Nobody will ever ask for this one.
            self._begin_removal(container)
            raise

    def _new_container(self, container_id: str, spec: Spec) -> Container:
        path = to_path(spec["linux"]["cgroupsPath"], container_id)
        for other in self._containers.values():
            if other.cgroup_path == path:
                # Killing one would kill the other.
                raise InvalidArgument(
                    f"container {container_id!r}: cgroup {str(path)!r} is that of "
                    f"container {other.id!r}"
                )
        return Container(
            container_id,
            runtime=self._runtime,
            reaper=self._reaper,
            bundle=Bundle(self._paths.sandbox, container_id),
            cgroup=open_cgroup(self._paths.cgroup, path, self._watches),
            cgroup_path=path,
            paths=self._paths,
            pipe_size=self._config.container_pipe_size,
            streams=self._streams,
        )

    async def _create_container(
        self,
        container: Container,
        request: agent_pb2.CreateContainerRequest,
        spec: Spec,
        *,
        pid: str,
    ) -> None:
        streams = StreamPorts(
            request.stdin_port, request.stdout_port, request.stderr_port
        )
        async with container.order, AsyncExitStack() as undo:
            undo.callback(self._containers.pop, container.id, None)
            undo.push_async_callback(self._storages.remove_for, container.id)
            undo.push_async_callback(container.remove)
            await self._devices.add(request.devices, spec)
            await self._storages.add(request.storages, container.id)
            await self._prepare(container, request, spec, pid=pid)
            async with self._slots.place():
                await container.create(spec, streams)
            for mount in request.shared_mounts:
                await share_mount(mount, self.container(mount.src_ctr), container)
            undo.pop_all()

    async def _prepare(
        self,
        container: Container,
        request: agent_pb2.CreateContainerRequest,
        spec: Spec,
        *,
        pid: str,
    ) -> None:
        if pid == "shared":
            await self._surroundings.namespaces.share_pid()
        cpu = spec["linux"]["resources"].get("cpu", {})
        container.wanted_cpus = cpu.get("cpus", "")
        preparation = Preparation(
            container_id=container.id,
            cgroup_path=container.cgroup_path,
            string_user=request.string_user,
            hook_output=container.hook_output,
            pid=pid,
            cgroup_files=self._cgroup_files,
        )
        with span(
            "spec.prepare", {semconv.CONTAINER_ID: container.id}, subsystem="container"
        ):
            await blocking(
                prepare,
                spec,
                preparation,
                namespaces=self._surroundings.namespaces,
                guest_hooks=self._surroundings.guest_hooks,
                paths=self._paths,
            )

    async def start_container(self, container_id: str) -> None:
        """Run a created container's program."""
        container = self.container(container_id)

        def report() -> None:
            self.oom_events.report(container_id)

        async def start() -> None:
            async with container.order, self._slots.place():
                await container.start(report)

        await self._operations.complete(start())

    async def exec_process(self, request: agent_pb2.ExecProcessRequest) -> None:
        """Run another process in a container."""
        container = self.container(request.container_id)
        check_exec_id(container.id, request.exec_id)
        container.check("exec")
        process = process_to_oci(request.process)
        inherit(process, container.spec["process"])
        process["env"] = self._devices.translate_environment(process["env"])
        fit_process(process, container.id, self._paths)
        rootfs = container.spec["root"]["path"]
        await blocking(apply_user, process, request.string_user, rootfs)
        if not can_filter_devices(self._paths, unified=self._cgroup_files.unified):
            drop_mknod(process)
        streams = StreamPorts(
            request.stdin_port, request.stdout_port, request.stderr_port
        )

        async def start() -> None:
            async with self._slots.place():
                await container.exec(request.exec_id, process, streams)

        await self._operations.complete(start())

    async def pause_container(self, container_id: str) -> None:
        """Freeze a container."""
        container = self.container(container_id)

        async def pause() -> None:
            async with container.order:
                await container.pause()

        await self._operations.complete(pause())

    async def resume_container(self, container_id: str) -> None:
        """Let a frozen container go on."""
        container = self.container(container_id)

        async def resume() -> None:
            async with container.order:
                await container.resume()

        await self._operations.complete(resume())

    async def update_container(
        self, container_id: str, message: oci_pb2.LinuxResources
    ) -> None:
        """Change a container's resources; what the message leaves out stays."""
        container = self.container(container_id)
        resources = resources_to_oci(message)
        # Rules are complete since the creation: one that is added to them could
        # only open what they keep closed.
        resources.pop("devices", None)
        wanted_cpus = resources.get("cpu", {}).get("cpus", "")
        await blocking(fit_resources, resources, self._paths, self._cgroup_files)

        async def update() -> None:
            async with container.order, self._slots.place():
                await container.update(resources)
                container.wanted_cpus = wanted_cpus or container.wanted_cpus

        await self._operations.complete(update())

    async def list_processes(
        self, container_id: str, list_format: str, arguments: Sequence[str]
    ) -> bytes:
        """Return a container's processes; see `kata_agent.container.process_list`."""
        pids = await blocking(self.container(container_id).cgroup.pids)
        return await list_processes(pids, list_format, arguments, self._reaper)

    async def update_ephemeral_mounts(
        self, messages: Sequence[agent_pb2.Storage]
    ) -> None:
        """Change ephemeral storages, usually their size."""
        await self._operations.complete(self._storages.update_ephemeral(messages))

    async def remove_container(self, container_id: str, timeout: float = 0) -> None:
        """Kill and delete a container; 0 waits as long as it takes.

        Raises `Timeout` after `timeout` seconds; the removal goes on then, and
        calling again waits for the same one.
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
        # What a create or an exec is doing right now ends sooner with its
        # processes dead.
        await container.kill()
        async with container.order:
            if self._containers.get(container.id) is not container:
                # Its creation failed and undid itself; the id may be another's.
                return
            await container.remove(self._slots.place())
            del self._containers[container.id]
            # Should this fail, the storage stays until the sandbox ends.
            await self._storages.remove_for(container.id)
