# SPDX-License-Identifier: Apache-2.0
"""The thin layer between ttrpc and the domain.

Each module is a part of grpc.AgentService: one class whose methods check the
request, call the domain and build the reply. No method holds a lock or touches
the kernel. What no class implements answers UNIMPLEMENTED, by name.
"""

from __future__ import annotations

from agent.device import HANDLERS as DEVICE_HANDLERS
from agent.device.hotplug import Hotplug
from agent.machine.copy_file import FileCopies
from agent.network import Network
from agent.rpc.containers import ContainersService
from agent.rpc.execution import ExecutionService
from agent.rpc.guest import GuestService
from agent.rpc.health import HealthService
from agent.rpc.networking import NetworkingService
from agent.rpc.stdio import StdioService
from agent.rpc.tracing import TracingService
from agent.sandbox import Sandbox
from agent.storage import DRIVERS
from protos.agent_ttrpc import AGENT_SERVICE
from protos.health_ttrpc import HEALTH
from tracing.setup import Tracing
from ttrpc.service import BoundService, bind


def services(
    sandbox: Sandbox, network: Network, hotplug: Hotplug, tracing: Tracing
) -> list[BoundService]:
    """Return all that the agent serves."""
    guest = GuestService(
        sandbox,
        hotplug,
        FileCopies(hotplug.paths),
        device_handlers=sorted(DEVICE_HANDLERS),
        storage_handlers=DRIVERS,
        count_spans=tracing.counters,
    )
    return [
        bind(
            AGENT_SERVICE,
            ExecutionService(sandbox),
            ContainersService(sandbox),
            StdioService(sandbox),
            guest,
            NetworkingService(network),
            TracingService(tracing),
        ),
        bind(HEALTH, HealthService()),
    ]
