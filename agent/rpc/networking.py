# SPDX-License-Identifier: Apache-2.0
"""The guest's network: interfaces, routes, neighbours, firewall rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from google.protobuf.empty_pb2 import Empty

from kata_agent.errors import InvalidArgument
from kata_protos import agent_pb2, types_pb2
from kata_protos.agent_ttrpc import AgentServiceBase
from ttrpc.call_context import CallContext

if TYPE_CHECKING:
    from kata_agent.network.network import Network


class NetworkingService(AgentServiceBase):
    """Part of grpc.AgentService."""

    def __init__(self, open_network: Callable[[], Network]) -> None:
        """Take the function that opens the network, which the first call does."""
        self._open_network = open_network

    @cached_property
    def _network(self) -> Network:
        return self._open_network()

    async def update_interface(
        self, request: agent_pb2.UpdateInterfaceRequest, context: CallContext
    ) -> types_pb2.Interface:
        if not request.HasField("interface"):
            raise InvalidArgument("UpdateInterface: no interface")
        return await self._network.update_interface(request.interface)

    async def update_routes(
        self, request: agent_pb2.UpdateRoutesRequest, context: CallContext
    ) -> agent_pb2.Routes:
        if not request.HasField("routes"):
            raise InvalidArgument("UpdateRoutes: no routes")
        return await self._network.update_routes(request.routes.Routes)

    async def list_interfaces(
        self, request: agent_pb2.ListInterfacesRequest, context: CallContext
    ) -> agent_pb2.Interfaces:
        return await self._network.list_interfaces()

    async def list_routes(
        self, request: agent_pb2.ListRoutesRequest, context: CallContext
    ) -> agent_pb2.Routes:
        return await self._network.list_routes()

    async def add_arp_neighbors(
        self, request: agent_pb2.AddARPNeighborsRequest, context: CallContext
    ) -> Empty:
        if not request.HasField("neighbors"):
            raise InvalidArgument("AddARPNeighbors: no neighbors")
        await self._network.add_neighbours(request.neighbors.ARPNeighbors)
        return Empty()

    async def get_ip_tables(
        self, request: agent_pb2.GetIPTablesRequest, context: CallContext
    ) -> agent_pb2.GetIPTablesResponse:
        tables = await self._network.get_tables(is_ipv6=request.is_ipv6)
        return agent_pb2.GetIPTablesResponse(data=tables)

    async def set_ip_tables(
        self, request: agent_pb2.SetIPTablesRequest, context: CallContext
    ) -> agent_pb2.SetIPTablesResponse:
        output = await self._network.set_tables(request.data, is_ipv6=request.is_ipv6)
        return agent_pb2.SetIPTablesResponse(data=output)
