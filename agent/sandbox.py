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
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol, TypeVar

from agent.blocking import blocking
from agent.bundle import Bundle, check_rootfs
from agent.cgroup import is_unified, open_cgroup, to_path
from agent.config import Config
from agent.container import Container, ContainerState
from agent.errors import AlreadyExists, InvalidArgument, Timeout
from agent.identifier import check_container_id, check_exec_id
from agent.namespace import SandboxNamespaces
from agent.oom import OomEvents
from agent.paths import SystemPaths
from agent.prepare import add_essential_mounts, drop_unknown_rlimits
from agent.reaper import Reaper
from agent.runtime import Runtime
from agent.spec import Spec, process_to_oci, resources_to_oci, to_oci
from protos import agent_pb2, oci_pb2
from tracing.span import span

log = logging.getLogger(__name__)

T = TypeVar("T")


class Storages(Protocol):
    """Mounts that the host asks for, counted by mount point: `agent.storage`."""

    async def add(
        self, messages: Sequence[agent_pb2.Storage], container_id: str | None
    ) -> list[str]:
        """Mount them for a container, or for the sandbox; return the mount points."""
        ...

    async def remove_for(self, container_id: str) -> None:
        """Release a container's storages, also after a failed `add`."""
        ...

    async def remove_all(self) -> None:
        """Release every storage of the sandbox."""
        ...


class Devices(Protocol):
    """Devices that the host gave the guest: `agent.device`."""

    async def add(self, messages: Sequence[agent_pb2.Device], spec: Spec) -> None:
        """Wait for the devices and put their guest numbers into the spec."""
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
    ) -> None:
        self.id = ""
        self.oom_events: Final = OomEvents()
        self.destroyed: Final = asyncio.Event()
        """Set when DestroySandbox is done: the agent may end."""
        self._config = config
        self._paths = paths
        self._reaper = reaper
        self._runtime = runtime
        self._storages = storages
        self._devices = devices
        self._namespaces = SandboxNamespaces(paths, reaper)
        self._shares_pid = False
        self._containers: dict[str, Container] = {}
        self._removals: dict[str, asyncio.Task[None]] = {}
        self._operations: set[asyncio.Task[Any]] = set()
        # More runtimes at once than this only make each of them slower.
        self._runtime_slots = asyncio.Semaphore(2 * (os.cpu_count() or 1))
        self._order = asyncio.Lock()

    # --- the sandbox itself ---

    async def create(self, request: agent_pb2.CreateSandboxRequest) -> None:
        """Set up what the containers will share. Undoes everything when it fails."""
        await self._to_completion(self._create(request))

    async def _create(self, request: agent_pb2.CreateSandboxRequest) -> None:
        async with self._order, AsyncExitStack() as undo:
            if self._containers:
                raise AlreadyExists(f"sandbox {self.id!r}: it has containers already")
            # Kata's runtimes may create the sandbox again: it starts over.
            await self._tear_down()
            undo.push_async_callback(self._tear_down)
            self._paths.sandbox.mkdir(mode=0o755, parents=True, exist_ok=True)
            with span("namespace.pin", subsystem="sandbox"):
                await self._namespaces.pin(request.hostname)
            if request.sandbox_pidns:
                await self._namespaces.share_pid()
            await self._storages.add(request.storages, None)
            self.id = request.sandbox_id
            self._shares_pid = request.sandbox_pidns
            self.destroyed.clear()
            self.oom_events.open()
            undo.pop_all()

    async def destroy(self) -> None:
        """Remove every container and everything shared; once gone, do nothing."""
        await self._to_completion(self._destroy())

    async def _destroy(self) -> None:
        async with self._order:
            results = await asyncio.gather(
                *(
                    self.remove_container(container)
                    for container in list(self._containers)
                ),
                return_exceptions=True,
            )
            await self._tear_down()
            self.oom_events.close()
            self.destroyed.set()
            failures = [
                result for result in results if isinstance(result, BaseException)
            ]
            if failures:
                raise failures[0]

    async def _tear_down(self) -> None:
        await self._storages.remove_all()
        await self._namespaces.unpin()
        self.id = ""

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
        if container_id in self._containers:
            raise AlreadyExists(f"container {container_id!r}: already exists")
        if not request.HasField("OCI"):
            raise InvalidArgument(f"container {container_id!r}: no OCI spec")
        spec = to_oci(request.OCI)
        container = self._new_container(container_id, spec)
        self._containers[container_id] = container
        pid = (
            "agent"
            if agent_pid
            else "shared"
            if self._is_pid_shared(request)
            else "own"
        )
        try:
            await self._to_completion(
                self._create_container(container, request, spec, pid=pid)
            )
        except asyncio.CancelledError:
            # Nobody will ever ask for this one.
            self._begin_removal(container)
            raise

    def _is_pid_shared(self, request: agent_pb2.CreateContainerRequest) -> bool:
        # 1.x says it once for the sandbox, 4.x with each container.
        return self._shares_pid or request.sandbox_pidns

    def _new_container(self, container_id: str, spec: Spec) -> Container:
        path = to_path(spec["linux"]["cgroupsPath"], container_id)
        return Container(
            container_id,
            runtime=self._runtime,
            bundle=Bundle(self._paths.sandbox, container_id),
            cgroup=open_cgroup(self._paths.cgroup, path),
            cgroup_path=path,
            paths=self._paths,
            pipe_size=self._config.container_pipe_size,
        )

    async def _create_container(
        self,
        container: Container,
        request: agent_pb2.CreateContainerRequest,
        spec: Spec,
        *,
        pid: str,
    ) -> None:
        async with AsyncExitStack() as undo:
            await undo.enter_async_context(container.order)
            undo.callback(self._containers.pop, container.id, None)
            undo.push_async_callback(self._storages.remove_for, container.id)
            undo.push_async_callback(container.remove)
            await self._devices.add(request.devices, spec)
            await self._storages.add(request.storages, container.id)
            await blocking(check_rootfs, container.id, spec["root"]["path"])
            if pid == "shared":
                await self._namespaces.share_pid()
            self._prepare(container, spec, pid=pid)
            async with self._runtime_slots:
                await container.create(spec)
            # Keep everything but the lock.
            undo.pop_all()
            container.order.release()

    def _prepare(self, container: Container, spec: Spec, *, pid: str) -> None:
        unified = is_unified(self._paths.cgroup)
        self._namespaces.apply(spec, pid=pid, unified=unified)
        spec["linux"]["cgroupsPath"] = str(container.cgroup_path)
        add_essential_mounts(spec)
        drop_unknown_rlimits(spec["process"], container.id)

    async def start_container(self, container_id: str) -> None:
        """Run a created container's program."""
        container = self.container(container_id)
        report = self.oom_events.report

        async def start() -> None:
            async with container.order, self._runtime_slots:
                await container.start(lambda: report(container_id))

        await self._to_completion(start())

    async def exec_process(self, request: agent_pb2.ExecProcessRequest) -> None:
        """Run another process in a container."""
        container_id, exec_id = request.container_id, request.exec_id
        container = self.container(container_id)
        check_exec_id(container_id, exec_id)
        document = process_to_oci(request.process)
        drop_unknown_rlimits(document, container_id)

        async def start() -> None:
            async with self._runtime_slots:
                await container.exec(exec_id, document)

        await self._to_completion(start())

    async def pause_container(self, container_id: str) -> None:
        container = self.container(container_id)

        async def pause() -> None:
            async with container.order:
                await container.pause()

        await self._to_completion(pause())

    async def resume_container(self, container_id: str) -> None:
        container = self.container(container_id)

        async def resume() -> None:
            async with container.order:
                await container.resume()

        await self._to_completion(resume())

    async def update_container(
        self, container_id: str, resources: oci_pb2.LinuxResources
    ) -> None:
        container = self.container(container_id)
        document = resources_to_oci(resources)

        async def update() -> None:
            async with container.order:
                await container.update(document)

        await self._to_completion(update())

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
        removal = self._removals.get(container.id)
        if removal is None:
            removal = self._start(self._remove(container))
            self._removals[container.id] = removal
            removal.add_done_callback(lambda _: self._removals.pop(container.id, None))
        return removal

    async def _remove(self, container: Container) -> None:
        # What a create or an exec is doing right now ends sooner with its
        # processes dead.
        await container.kill()
        async with container.order:
            if container.state is ContainerState.REMOVED:
                return
            async with self._runtime_slots:
                await container.remove()
            await self._storages.remove_for(container.id)
            self._containers.pop(container.id, None)

    # --- operations ---

    async def _to_completion(self, operation: Coroutine[Any, Any, T]) -> T:
        """Run an operation to its end, even when the caller is cancelled."""
        return await asyncio.shield(self._start(operation))

    def _start(self, operation: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(operation)
        self._operations.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._operations.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # Whoever waits gets it too; this is for those who left.
            log.debug("operation failed", exc_info=task.exception())
