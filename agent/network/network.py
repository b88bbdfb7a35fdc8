# SPDX-License-Identifier: Apache-2.0
"""The guest's network, which all containers of the sandbox share.

It works before there is a sandbox: runtimes set the network up first. Changes
happen one after the other, and one that fails leaves the network as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kata_agent.device.hotplug import Hotplug
from kata_agent.network.interface import (
    find_device,
    list_interfaces,
    to_wanted,
    update_interface,
)
from kata_agent.network.iptables import get_tables, set_tables
from kata_agent.network.neighbour import add_neighbours
from kata_agent.network.route import list_routes, update_routes
from kata_agent.reaper import Reaper
from kata_protos import agent_pb2, types_pb2
from kata_tracing import semconv
from kata_tracing.span import span


class Network:
    """Interfaces, routes, neighbours and firewall rules of the guest."""

    def __init__(self, reaper: Reaper, hotplug: Hotplug) -> None:
        self._reaper = reaper
        self._hotplug = hotplug
        self._paths = hotplug.paths
        self._changing = asyncio.Lock()

    async def update_interface(
        self, message: types_pb2.Interface
    ) -> types_pb2.Interface:
        """Configure one interface; return `message`."""
        with span(
            "network.update_interface",
            {semconv.NETWORK_INTERFACE_NAME: message.name},
            subsystem="network",
        ):
            wanted = to_wanted(message)
            # A device that does not come holds up nobody else.
            device = await find_device(self._hotplug, message.devicePath)
            async with self._changing:
                await update_interface(self._reaper, self._paths, wanted, device)
        return message

    async def update_routes(
        self, messages: Sequence[types_pb2.Route]
    ) -> agent_pb2.Routes:
        """Add or replace routes; return all there are then."""
        with span(
            "network.update_routes",
            {semconv.COUNT: len(messages)},
            subsystem="network",
        ):
            async with self._changing:
                return await update_routes(self._reaper, self._paths, messages)

    async def add_neighbours(self, messages: Sequence[types_pb2.ARPNeighbor]) -> None:
        """Add or replace neighbours."""
        with span(
            "network.add_neighbours",
            {semconv.COUNT: len(messages)},
            subsystem="network",
        ):
            async with self._changing:
                await add_neighbours(self._reaper, self._paths, messages)

    async def list_interfaces(self) -> agent_pb2.Interfaces:
        """Return all links with their addresses."""
        return await list_interfaces(self._reaper)

    async def list_routes(self) -> agent_pb2.Routes:
        """Return the main table."""
        return await list_routes(self._reaper)

    async def get_tables(self, *, is_ipv6: bool) -> bytes:
        """Return the firewall's rules."""
        return await get_tables(self._reaper, is_ipv6=is_ipv6)

    async def set_tables(self, rules: bytes, *, is_ipv6: bool) -> bytes:
        """Replace firewall rules; return what the program says."""
        with span("network.set_tables", subsystem="network"):
            async with self._changing:
                return await set_tables(self._reaper, rules, is_ipv6=is_ipv6)
