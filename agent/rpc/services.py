# SPDX-License-Identifier: Apache-2.0
"""grpc.AgentService, whose calls are served in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kata_agent.device.driver_names import DRIVERS as DEVICE_DRIVERS
from kata_agent.device.hotplug import Hotplug
from kata_agent.rpc.containers import ContainersService
from kata_agent.rpc.execution import ExecutionService
from kata_agent.rpc.guest import GuestService
from kata_agent.rpc.networking import NetworkingService
from kata_agent.rpc.stdio import StdioService
from kata_agent.rpc.tracing import TracingService
from kata_agent.sandbox.sandbox import Sandbox
from kata_agent.storage.driver_names import DRIVERS as STORAGE_DRIVERS
from kata_protos.agent_ttrpc import AGENT_SERVICE
from kata_tracing.tracing import Tracing
from ttrpc.bound_service import BoundService, bind

if TYPE_CHECKING:
    from kata_agent.network.network import Network


def agent_service(
    sandbox: Sandbox,
    open_network: Callable[[], Network],
    hotplug: Hotplug,
    tracing: Tracing,
) -> BoundService:
    """Return the service. A method that no part has answers UNIMPLEMENTED.

    `open_network` is called by the first call that needs the network.
    """
    guest = GuestService(
        sandbox,
        hotplug,
        device_handlers=DEVICE_DRIVERS,
        storage_handlers=STORAGE_DRIVERS,
        count_spans=tracing.counters,
    )
    return bind(
        AGENT_SERVICE,
        ExecutionService(sandbox),
        ContainersService(sandbox),
        StdioService(sandbox),
        guest,
        NetworkingService(open_network),
        TracingService(tracing),
    )
