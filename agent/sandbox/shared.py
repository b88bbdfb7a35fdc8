# SPDX-License-Identifier: Apache-2.0
"""What the containers of a sandbox find around them: set up once, taken down once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Protocol

from kata_agent.blocking import blocking
from kata_agent.container.hooks import find_guest_hooks
from kata_agent.oci.convert import Spec
from kata_agent.reaper import Reaper
from kata_agent.sandbox.kernel_modules import load_modules
from kata_agent.sandbox.namespace import SandboxNamespaces
from kata_agent.sandbox.resolv_conf import ResolvConf
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2
from kata_tracing.span import span

log = logging.getLogger(__name__)


class Storages(Protocol):
    """Mounts that the host asks for, counted by mount point: `kata_agent.storage`."""

    async def add(
        self, messages: Sequence[agent_pb2.Storage], container_id: str | None
    ) -> list[str]:
        """Mount them for a container, or for the sandbox; return the mount points."""
        ...

    async def update_ephemeral(self, messages: Sequence[agent_pb2.Storage]) -> None:
        """Mount or remount ephemeral storages of the sandbox."""
        ...

    async def remove_for(self, container_id: str) -> None:
        """Release a container's storages, also after a failed `add`."""
        ...

    async def remove_all(self) -> None:
        """Release every storage of the sandbox."""
        ...


class Surroundings:
    """Kernel modules, shared namespaces, name servers, storages and guest hooks."""

    def __init__(self, paths: SystemPaths, reaper: Reaper, storages: Storages) -> None:
        self.namespaces: Final = SandboxNamespaces(paths, reaper)
        self.shares_pid = False
        """Whether all containers share a pid namespace, as 1.x says it."""
        self.guest_hooks: Spec = {}
        self._paths = paths
        self._reaper = reaper
        self._storages = storages
        self._resolv_conf = ResolvConf(paths)

    async def set_up(self, request: agent_pb2.CreateSandboxRequest) -> None:
        """Do what CreateSandbox asks for. A failure undoes what was done."""
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.take_down)
            self._paths.sandbox.mkdir(mode=0o755, parents=True, exist_ok=True)
            await load_modules(self._reaper, request.kernel_modules)
            with span("namespace.pin", subsystem="sandbox"):
                await self.namespaces.pin(request.hostname)
            if request.sandbox_pidns:
                await self.namespaces.share_pid()
            await self._storages.add(request.storages, None)
            await self._find_hooks(request.guest_hook_path)
            await blocking(self._resolv_conf.bind, list(request.dns))
            self.shares_pid = request.sandbox_pidns
            undo.pop_all()

    async def _find_hooks(self, directory: str) -> None:
        if not directory:
            return
        try:
            with span("hook.find", subsystem="sandbox"):
                self.guest_hooks = await blocking(find_guest_hooks, Path(directory))
        except OSError as error:
            # A sandbox without its hooks is still a sandbox.
            log.warning("guest hooks not read: %s", error)

    async def take_down(self) -> None:
        """Undo all of it; goes on after a failure and raises the last one."""
        self.shares_pid = False
        self.guest_hooks = {}
        async with AsyncExitStack() as steps:
            steps.push_async_callback(self.namespaces.unpin)
            steps.push_async_callback(self._storages.remove_all)
            steps.push_async_callback(blocking, self._resolv_conf.unbind)
