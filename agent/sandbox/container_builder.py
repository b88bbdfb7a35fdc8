# SPDX-License-Identifier: Apache-2.0
"""From a CreateContainer request to a container that the runtime has created."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.cgroup.file_watches import FileWatches
from kata_agent.cgroup.open import open_cgroup, to_path
from kata_agent.cgroup.overlap import overlap, own_cgroups, shells_cgroup
from kata_agent.cgroup.supported_files import SupportedFiles
from kata_agent.container.bundle import Bundle
from kata_agent.container.container import Container
from kata_agent.container.container_state import ContainerEvent
from kata_agent.container.stream_copies import StreamCopies
from kata_agent.container.stream_ports import StreamPorts
from kata_agent.errors import (
    AgentError,
    AlreadyExists,
    Internal,
    InvalidArgument,
    Unavailable,
)
from kata_agent.oci.cdi import refuse_cdi_devices
from kata_agent.oci.process import Requested
from kata_agent.oci.spec import Spec
from kata_agent.runtime.concurrency_limit import ConcurrencyLimit
from kata_agent.sandbox.adapt import Preparation, prepare_spec
from kata_agent.sandbox.guest import Guest
from kata_agent.sandbox.namespaces import PidNamespace
from kata_agent.sandbox.sandbox_setup import SandboxSetup
from kata_agent.sandbox.shared_mount import share_mounts
from kata_protos import agent_pb2
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)


class ContainerBuilder:
    """Builds containers, each up to the moment before its program runs."""

    def __init__(
        self, guest: Guest, setup: SandboxSetup, runtime_limit: ConcurrencyLimit
    ) -> None:
        self.cgroup_files: Final = SupportedFiles(guest.paths.cgroup)
        self.watches: Final = FileWatches()
        """The cgroup files that are watched for out-of-memory events."""
        self.copies: Final = StreamCopies()
        """The output that is on its way to the host."""
        self._guest = guest
        self._setup = setup
        self._runtime_limit = runtime_limit

    def new(
        self, container_id: str, spec: Spec, others: Iterable[Container]
    ) -> Container:
        """Return a container that only has its names.

        Raises `InvalidArgument` if its cgroup is, holds or is in that of one of
        `others`, of the agent or of the debug console, because a container is killed by
        its cgroup.
        """
        guest = self._guest
        path = to_path(spec["linux"]["cgroupsPath"], container_id)
        unified = self.cgroup_files.unified
        used = [(each.cgroup_path, f"container {each.id!r}") for each in others]
        used += [
            (own, "the agent") for own in own_cgroups(guest.paths.proc, unified=unified)
        ]
        if shells := shells_cgroup(guest.paths.proc, unified=unified):
            used.append((shells, "the debug console"))
        for other, owner in used:
            if overlap(path, other):
                raise InvalidArgument(
                    f"container {container_id!r}: cgroup {str(path)!r} overlaps "
                    f"{str(other)!r}, which is that of {owner}"
                )
        return Container(
            container_id,
            runtime=guest.runtime,
            reaper=guest.reaper,
            bundle=Bundle(guest.paths.sandbox, container_id),
            cgroup=open_cgroup(guest.paths.cgroup, path, self.watches),
            cgroup_path=path,
            paths=guest.paths,
            pipe_size=guest.config.container_pipe_size,
            streams=guest.streams,
            copies=self.copies,
        )

    async def build(
        self,
        container: Container,
        request: agent_pb2.CreateContainerRequest,
        spec: Spec,
        *,
        others: Callable[[], Iterable[Container]],
        agent_pid: bool,
    ) -> None:
        """Wait for devices, mount storages, adapt the spec and call the runtime.

        `others` returns the containers of the sandbox; `agent_pid` puts this one into
        the agent's own pid namespace. A failure undoes every step; a container that is
        not removed then has something left.
        """
        streams = StreamPorts(
            request.stdin_port, request.stdout_port, request.stderr_port
        )
        guest = self._guest
        pid = self._pid_namespace(request, agent_pid)
        try:
            guest.storages.claim_bundle(container.id, spec["root"]["path"])
            await _claim_cgroup(container)
            refuse_cdi_devices(container.id, spec)
            if pid is PidNamespace.SHARED:
                await self._setup.namespaces.share_pid()
            async with container.lifecycle.step(ContainerEvent.CREATE):
                container.pci_addresses = await guest.devices.add(request.devices, spec)
                await guest.storages.add(request.storages, container.id)
                await self._prepare(container, request, spec, pid)
                async with self._runtime_limit.slot():
                    await container.create(spec, streams)
                if request.shared_mounts:
                    await share_mounts(request.shared_mounts, others, container)
        except BaseException as error:
            await self._undo(container)
            if (
                pid is PidNamespace.SHARED
                and isinstance(error, Internal)
                and not self._setup.namespaces.has_pid
            ):
                raise Unavailable(
                    f"container {container.id!r}: not created, because the pause "
                    "process of the shared pid namespace has ended"
                ) from error
            raise

    async def _undo(self, container: Container) -> None:
        """Remove a container whose creation failed; log what stays."""
        guest = self._guest
        try:
            await guest.reserve.undo(container.remove)
            await guest.reserve.undo(lambda: guest.storages.take_back(container.id))
        except (AgentError, OSError) as error:
            log.error(
                "failed creation not undone",
                extra={"container_id": container.id, "error": str(error)},
            )

    def _pid_namespace(
        self, request: agent_pb2.CreateContainerRequest, agent_pid: bool
    ) -> PidNamespace:
        if agent_pid:
            return PidNamespace.AGENT
        # Kata 1.x asks for it with the sandbox, 4.x with each container.
        if self._setup.shares_pid or request.sandbox_pidns:
            return PidNamespace.SHARED
        return PidNamespace.OWN

    async def _prepare(
        self,
        container: Container,
        request: agent_pb2.CreateContainerRequest,
        spec: Spec,
        pid: PidNamespace,
    ) -> None:
        cpu = spec["linux"]["resources"].get("cpu", {})
        container.wanted_cpus = cpu.get("cpus", "")
        container.requested = Requested.from_process(spec["process"])
        preparation = Preparation(
            container_id=container.id,
            cgroup_path=container.cgroup_path,
            string_user=request.string_user,
            hook_output=container.hook_output,
            pid=pid,
            cgroup_files=self.cgroup_files,
            namespaces=self._setup.namespaces,
            guest_hooks=self._setup.guest_hooks,
            paths=self._guest.paths,
        )
        with span(
            "spec.prepare", {semconv.CONTAINER_ID: container.id}, subsystem="container"
        ):
            await blocking(prepare_spec, spec, preparation)


async def _claim_cgroup(container: Container) -> None:
    """Let the container kill the processes of its cgroup, in which there are none yet.

    Raises `AlreadyExists`.
    """
    cgroup = container.cgroup
    if cgroup.exists() and await blocking(cgroup.is_in_use):
        raise AlreadyExists(
            f"container {container.id!r}: cgroup {str(container.cgroup_path)!r} holds "
            "processes of the guest"
        )
    container.owns_cgroup = True
