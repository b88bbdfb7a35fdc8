# SPDX-License-Identifier: Apache-2.0
"""The guest's network, which all containers of the sandbox share.

The network is configured before there is a sandbox, because runtimes do that first.
Changes happen one after the other, and a change that fails leaves no trace.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.network import wait_for_interface
from kata_agent.network.interface import list_interfaces, update_interface
from kata_agent.network.interface_request import parse_interface_request
from kata_agent.network.ip import Ip
from kata_agent.network.iptables import Iptables
from kata_agent.network.neighbour import add_neighbours
from kata_agent.network.route import list_routes, update_routes
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_protos import agent_pb2, types_pb2
from kata_tracing import semconv
from kata_tracing.span import span


class Network:
    """Interfaces, routes, neighbours and firewall rules of the guest."""

    def __init__(self, reaper: Reaper, hotplug: Hotplug, reserve: Reserve) -> None:
        self._hotplug = hotplug
        self._reserve = reserve
        self._ip = Ip(reaper, hotplug.paths, reserve)
        self._iptables = Iptables(reaper, "iptables", reserve)
        self._ip6tables = Iptables(reaper, "ip6tables", reserve)
        self._lock = asyncio.Lock()
        """Held during a change, so that changes happen one after the other."""

    async def update_interface(
        self, message: types_pb2.Interface
    ) -> types_pb2.Interface:
        """Configure one interface, once its device is there; return `message`.

        Raises `InvalidArgument`, `NotFound`, `Timeout` and `Internal`.
        """
        with span(
            "network.update_interface",
            {semconv.NETWORK_INTERFACE_NAME: message.name},
            subsystem="network",
        ):
            request = parse_interface_request(message)
            # Without the lock: a device that does not come must not delay the others.
            device = None
            if message.devicePath:
                device = await wait_for_interface(self._hotplug, message.devicePath)
            async with self._change():
                await update_interface(self._ip, request, device)
        return message

    async def update_routes(
        self, messages: Sequence[types_pb2.Route]
    ) -> agent_pb2.Routes:
        """Add or replace routes; return the whole main table after that.

        Raises `InvalidArgument` and `Internal`.
        """
        with span(
            "network.update_routes",
            {semconv.COUNT: len(messages)},
            subsystem="network",
        ):
            async with self._change():
                return await update_routes(self._ip, messages)

    async def add_neighbours(self, messages: Sequence[types_pb2.ARPNeighbor]) -> None:
        """Add or replace neighbours. Raises `InvalidArgument` and `Internal`."""
        with span(
            "network.add_neighbours",
            {semconv.COUNT: len(messages)},
            subsystem="network",
        ):
            async with self._change():
                await add_neighbours(self._ip, messages)

    async def list_interfaces(self) -> agent_pb2.Interfaces:
        """Return all links with their addresses. Raises `Internal`."""
        return await list_interfaces(self._ip)

    async def list_routes(self) -> agent_pb2.Routes:
        """Return the main table. Raises `Internal`."""
        return await list_routes(self._ip)

    async def get_tables(self, *, is_ipv6: bool) -> bytes:
        """Return the firewall's rules.

        Raises `NotFound` in a guest without iptables, and `Internal`.
        """
        return await self._tables(is_ipv6=is_ipv6).read()

    async def set_tables(self, rules: bytes, *, is_ipv6: bool) -> bytes:
        """Replace firewall rules; return the output of iptables-restore.

        Raises `InvalidArgument`, and `NotFound` in a guest without iptables.
        """
        with span("network.set_tables", subsystem="network"):
            async with self._change():
                return await self._tables(is_ipv6=is_ipv6).replace(rules)

    @contextlib.asynccontextmanager
    async def _change(self) -> AsyncIterator[None]:
        """Change the network in the block, once what taking it back needs is there."""
        async with self._lock:
            self._reserve.fill()
            yield

    def _tables(self, *, is_ipv6: bool) -> Iptables:
        return self._ip6tables if is_ipv6 else self._iptables
