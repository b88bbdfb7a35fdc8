# SPDX-License-Identifier: Apache-2.0
"""The parts behind grpc.AgentService, which are made when they are first needed.

They are most of the agent's modules. `Check`, which a runtime repeats until the guest
is up, needs none of them, and a guest that waits for its sandbox has none in memory.
"""

from __future__ import annotations

import asyncio
import gc
from functools import cached_property
from typing import TYPE_CHECKING, Final

from kata_agent.container.stream_source import StreamSource
from kata_agent.linux.malloc import trim_heap
from kata_agent.options.config import Config
from kata_agent.reaper import Reaper
from kata_agent.system_paths import SystemPaths
from kata_tracing.tracing import Tracing
from ttrpc.late_service import LateService

if TYPE_CHECKING:
    from kata_agent.device.hotplug import Hotplug
    from kata_agent.network.network import Network
    from kata_agent.reserve import Reserve
    from kata_agent.sandbox.guest import Guest
    from kata_agent.sandbox.sandbox import Sandbox
    from ttrpc.bound_service import BoundService

AGENT_SERVICE_NAME: Final = "grpc.AgentService"


class AgentParts:
    """The sandbox, and what it and the calls work with."""

    def __init__(
        self,
        config: Config,
        paths: SystemPaths,
        reaper: Reaper,
        streams: StreamSource,
        tracing: Tracing,
    ) -> None:
        self.destroyed: Final = asyncio.Event()
        """Set when DestroySandbox is done: the agent may end."""
        self._config = config
        self._paths = paths
        self._reaper = reaper
        self._streams = streams
        self._tracing = tracing

    @property
    def service(self) -> LateService:
        """The service, whose first call makes the parts."""
        return LateService(AGENT_SERVICE_NAME, self._open_service)

    def _open_service(self) -> BoundService:
        # As at the start of the program (`kata_agent.__main__`).
        gc.disable()
        try:
            from kata_agent.rpc.services import agent_service

            service = agent_service(
                self.sandbox, self._open_network, self._hotplug, self._tracing
            )
            gc.freeze()
        finally:
            gc.enable()
        # Imports read whole files into the heap: 2.6 MiB, which it would keep.
        trim_heap()
        return service

    @cached_property
    def sandbox(self) -> Sandbox:
        """The sandbox."""
        from kata_agent.sandbox.sandbox import Sandbox

        return Sandbox(self._guest(), self.destroyed)

    async def close(self) -> None:
        """Destroy the sandbox, if there is one, and close what was opened for it."""
        if "sandbox" in self.__dict__:
            await self.sandbox.end()
        if "_hotplug" in self.__dict__:
            self._hotplug.uevents.close()

    @cached_property
    def _hotplug(self) -> Hotplug:
        from kata_agent.device.hotplug import Hotplug
        from kata_agent.device.uevents import Uevents

        return Hotplug(self._paths, Uevents(self._paths), self._config.hotplug_timeout)

    @cached_property
    def _reserve(self) -> Reserve:
        from kata_agent.reserve import Reserve

        return Reserve()

    def _guest(self) -> Guest:
        """Return the parts of the guest that the sandbox works with."""
        from kata_agent.boot.root import can_pivot_root
        from kata_agent.device.devices import Devices
        from kata_agent.runtime.registry import to_runtime
        from kata_agent.sandbox.guest import Guest
        from kata_agent.storage.storages import Storages

        return Guest(
            self._config,
            self._paths,
            self._reaper,
            to_runtime(
                self._config.runtime,
                reaper=self._reaper,
                state=self._paths.runtime,
                pivot_root=can_pivot_root(self._paths),
            ),
            Storages(self._hotplug, self._reaper, self._reserve),
            Devices(self._hotplug),
            self._reserve,
            self._streams,
        )

    def _open_network(self) -> Network:
        """Return the guest's network, for the first call that needs it."""
        from kata_agent.network.network import Network

        return Network(self._reaper, self._hotplug, self._reserve)
