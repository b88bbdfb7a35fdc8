# SPDX-License-Identifier: Apache-2.0
"""Calls on the network, over a real connection, with real links."""

from __future__ import annotations

import pytest

from kata_agent.rpc.networking import NetworkingService
from kata_protos import agent_pb2
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.network import MAC, addresses, interface, open_network, routes
from tests.helpers.served import served
from ttrpc.codes import Code
from ttrpc.errors import StatusError


@in_namespaces("v2")
async def test_an_interface_and_a_route_are_set_and_listed(world: World) -> None:
    async with (
        open_network() as network,
        served(NetworkingService(lambda: network)) as agent,
    ):
        wanted = interface(
            name="eth0", hwAddr=MAC, addresses=["192.0.2.2/24"], mtu=1400
        )
        answer = await agent.update_interface(
            agent_pb2.UpdateInterfaceRequest(interface=wanted)
        )
        assert answer.name == "eth0"
        assert addresses("eth0") == ["192.0.2.2/24"]
        request = agent_pb2.UpdateRoutesRequest()
        request.routes.Routes.add(dest="", gateway="192.0.2.1", device="eth0")
        await agent.update_routes(request)
        assert any(route.startswith("dst default") for route in routes())
        interfaces = await agent.list_interfaces(agent_pb2.ListInterfacesRequest())
        assert "eth0" in [found.name for found in interfaces.Interfaces]
        listed = await agent.list_routes(agent_pb2.ListRoutesRequest())
        assert "192.0.2.1" in [route.gateway for route in listed.Routes]


@in_namespaces("v2")
async def test_a_request_without_its_part_is_refused(world: World) -> None:
    async with (
        open_network() as network,
        served(NetworkingService(lambda: network)) as agent,
    ):
        for call, message in (
            (
                agent.update_interface(agent_pb2.UpdateInterfaceRequest()),
                "UpdateInterface: no interface",
            ),
            (
                agent.update_routes(agent_pb2.UpdateRoutesRequest()),
                "UpdateRoutes: no routes",
            ),
            (
                agent.add_arp_neighbors(agent_pb2.AddARPNeighborsRequest()),
                "AddARPNeighbors: no neighbors",
            ),
        ):
            with pytest.raises(StatusError) as caught:
                await call
            assert caught.value.code is Code.INVALID_ARGUMENT
            assert caught.value.message == message


@in_namespaces("v2")
async def test_a_neighbour_is_added(world: World) -> None:
    async with (
        open_network() as network,
        served(NetworkingService(lambda: network)) as agent,
    ):
        request = agent_pb2.AddARPNeighborsRequest()
        neighbour = request.neighbors.ARPNeighbors.add(
            device="veth0", lladdr="02:00:00:00:00:09", state=0x80
        )
        neighbour.toIPAddress.address = "192.0.2.9"
        await agent.add_arp_neighbors(request)
        request.neighbors.ARPNeighbors[0].device = "nowhere"
        with pytest.raises(StatusError, match="nowhere"):
            await agent.add_arp_neighbors(request)
