# SPDX-License-Identifier: Apache-2.0
"""The parts of the guest that a sandbox works with, in one value.

`Storages` and `Devices` are protocols although each has one implementer in the
agent: the tests run sandboxes without storages and devices (tests/helpers/domain.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from kata_agent.container.stream_source import StreamSource
from kata_agent.oci.spec import Spec
from kata_agent.options.config import Config
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.runtime.runtime import Runtime
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2


class Storages(Protocol):
    """Mounts that the host asks for: `kata_agent.storage.storages.Storages`."""

    def claim_bundle(self, container_id: str, root: str) -> None:
        """Keep other containers' storages and roots out of a bundle.

        `root` is the path of the container's own root file system.
        """
        ...

    async def add(
        self, messages: Sequence[agent_pb2.Storage], container_id: str | None
    ) -> list[str]:
        """Mount them for a container, or for the sandbox; return the mount points."""
        ...

    async def update_ephemeral(self, messages: Sequence[agent_pb2.Storage]) -> None:
        """Mount or remount ephemeral storages of the sandbox."""
        ...

    async def remove_for(self, container_id: str) -> None:
        """Release a container's storages."""
        ...

    async def take_back(self, container_id: str) -> None:
        """Release the storages of a container whose creation has failed."""
        ...

    def is_used_by(self, container_id: str) -> bool:
        """Tell whether a container has storages, also after a failed `remove_for`."""
        ...

    async def remove_all(self) -> None:
        """Release every storage of the sandbox."""
        ...


class Devices(Protocol):
    """Devices that the host gives: `kata_agent.device.devices.Devices`."""

    async def add(
        self, messages: Sequence[agent_pb2.Device], spec: Spec
    ) -> Mapping[str, str]:
        """Wait for the devices, put their numbers and all rules into the spec.

        Returns the guest's PCI address of each of the host's.
        """
        ...


class Guest(NamedTuple):
    """The settings, paths and helpers of this guest."""

    config: Config
    paths: SystemPaths
    reaper: Reaper
    runtime: Runtime
    storages: Storages
    devices: Devices
    reserve: Reserve
    streams: StreamSource | None = None
    """Connections for standard streams; without it the host reads and writes them
    by calls."""
