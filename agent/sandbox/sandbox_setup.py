# SPDX-License-Identifier: Apache-2.0
"""The setting up and taking down of everything that the containers share."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.container.hooks import find_guest_hooks
from kata_agent.interruption import Interruption
from kata_agent.oci.spec import Spec
from kata_agent.sandbox.guest import Guest
from kata_agent.sandbox.kernel_modules import load_modules
from kata_agent.sandbox.namespaces import SandboxNamespaces
from kata_agent.sandbox.resolv_conf import ResolvConf
from kata_protos import agent_pb2
from kata_tracing.span import span

log = logging.getLogger(__name__)


class SandboxSetup:
    """Kernel modules, shared namespaces, name servers, storages and guest hooks."""

    def __init__(self, guest: Guest) -> None:
        self.namespaces: Final = SandboxNamespaces(guest.paths, guest.reaper)
        self.shares_pid = False
        """Whether all containers share a pid namespace: 1.x sets it for the sandbox."""
        self.guest_hooks: Spec = {}
        self._guest = guest
        self._resolv_conf = ResolvConf(guest.paths)
        self._interruption = Interruption("sandbox")

    async def set_up(self, request: agent_pb2.CreateSandboxRequest) -> None:
        """Set up everything that CreateSandbox asks for, or nothing if a step fails."""
        interruption = self._interruption = Interruption("sandbox")
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._guest.reserve.undo, self.take_down)
            self._guest.paths.sandbox.mkdir(mode=0o755, parents=True, exist_ok=True)
            async with interruption.step("create"):
                await load_modules(self._guest.reaper, request.kernel_modules)
            with span("namespace.pin", subsystem="sandbox"):
                await self.namespaces.pin(request.hostname)
            if request.sandbox_pidns:
                await self.namespaces.share_pid()
            async with interruption.step("create"):
                await self._guest.storages.add(request.storages, None)
                await self._find_hooks(request.guest_hook_path)
            await blocking(self._resolv_conf.bind, list(request.dns))
            self.shares_pid = request.sandbox_pidns
            undo.pop_all()

    def interrupt(self) -> None:
        """End a setting up that is under way, because the sandbox is destroyed."""
        self._interruption.begin()

    async def _find_hooks(self, directory: str) -> None:
        if not directory:
            return
        try:
            with span("hook.find", subsystem="sandbox"):
                self.guest_hooks = await blocking(find_guest_hooks, Path(directory))
        except OSError as error:
            # A sandbox works without its hooks.
            log.warning("guest hooks not read", extra={"error": str(error)})

    async def take_down(self) -> None:
        """Undo everything; go on after a failure and raise the last one."""
        self.shares_pid = False
        self.guest_hooks = {}
        async with AsyncExitStack() as steps:
            steps.push_async_callback(self.namespaces.unpin)
            steps.push_async_callback(self._guest.storages.remove_all)
            steps.push_async_callback(blocking, self._resolv_conf.unbind)
