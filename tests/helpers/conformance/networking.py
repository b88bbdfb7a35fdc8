# SPDX-License-Identifier: Apache-2.0
"""The guest's network: interfaces, routes, neighbours, firewall rules.

The cases that change something make a link of their own, in a container with
CAP_NET_ADMIN: containers have the guest's network.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from kata_protos import agent_pb2, types_pb2
from tests.helpers.conformance.case import Subject, case, stateless
from ttrpc.codes import Code

OK = Code.OK
INVALID = Code.INVALID_ARGUMENT
INTERNAL = Code.INTERNAL
NOT_FOUND = Code.NOT_FOUND
LINK = "conf0"
MAC = "02:00:00:00:c0:f0"
ADDRESS, PREFIX_LENGTH = "192.0.2.10", "24"
NETWORK, GATEWAY, BEYOND = "192.0.2.0/24", "192.0.2.1", "198.51.100.0/24"


@contextlib.asynccontextmanager
async def a_link(s: Subject) -> AsyncIterator[None]:
    """Add the link `LINK` to the guest for the block."""

    async def run(command: str) -> None:
        capabilities = ("CAP_NET_ADMIN",)
        await s.output_of("sh", "-c", command, capabilities=capabilities)

    # A case that ran out of time may have left its link.
    remove = f"for name in {LINK} conf1; do ip link del $name; done 2>/dev/null"
    await run(f"{remove}; ip link add {LINK} address {MAC} type veth")
    try:
        yield
    finally:
        await run(f"{remove}; true")


def interface(name: str = LINK, mac: str = MAC) -> agent_pb2.UpdateInterfaceRequest:
    address = types_pb2.IPAddress(address=ADDRESS, mask=PREFIX_LENGTH)
    return agent_pb2.UpdateInterfaceRequest(
        interface=types_pb2.Interface(
            name=name, device=name, hwAddr=mac, mtu=1400, IPAddresses=[address]
        )
    )


async def configure(s: Subject) -> None:
    await s.agent.update_interface(interface())


async def interfaces(s: Subject) -> dict[str, types_pb2.Interface]:
    response = await s.agent.list_interfaces(agent_pb2.ListInterfacesRequest())
    return {each.name: each for each in response.Interfaces}


async def routes(s: Subject) -> list[types_pb2.Route]:
    return list((await s.agent.list_routes(agent_pb2.ListRoutesRequest())).Routes)


# --- UpdateInterface, ListInterfaces ---


@case("UpdateInterface", "happy")
async def configured(s: Subject) -> None:
    async with a_link(s):
        response = await s.agent.update_interface(interface())
        assert response.name == LINK
        link = (await interfaces(s))[LINK]
        assert (link.hwAddr.lower(), link.mtu) == (MAC, 1400)
        assert ADDRESS in [each.address for each in link.IPAddresses]


@case("UpdateInterface", "happy")
async def renamed(s: Subject) -> None:
    async with a_link(s):
        await s.agent.update_interface(interface(name="conf1"))
        assert (await interfaces(s))["conf1"].hwAddr.lower() == MAC


@case("UpdateInterface", "bad request", INVALID, "UpdateInterface: no interface")
async def no_interface(s: Subject) -> None:
    await s.agent.update_interface(agent_pb2.UpdateInterfaceRequest())


@case("UpdateInterface", "bad request", NOT_FOUND, "Link not found", INTERNAL)
async def unknown_interface(s: Subject) -> None:
    await s.agent.update_interface(interface("nobody", "02:00:00:00:00:99"))


@case("UpdateInterface", "bad request", INVALID, "invalid MAC address 'zz'", INTERNAL)
async def bad_mac(s: Subject) -> None:
    await s.agent.update_interface(interface(mac="zz"))


@case("UpdateInterface", "bad request", INVALID, "'x' is|address 'x'", INTERNAL)
async def bad_address(s: Subject) -> None:
    async with a_link(s):
        request = interface()
        request.interface.IPAddresses[0].address = "x"
        await s.agent.update_interface(request)


@case("UpdateInterface", "repeated")
async def configured_twice(s: Subject) -> None:
    async with a_link(s):
        await configure(s)
        await configure(s)
        addresses = [a.address for a in (await interfaces(s))[LINK].IPAddresses]
        assert addresses.count(ADDRESS) == 1


@case("UpdateInterface", "concurrent")
async def configured_at_once(s: Subject) -> None:
    async with a_link(s):
        await asyncio.gather(*(configure(s) for _ in range(4)))
        assert (await interfaces(s))[LINK].mtu == 1400


@case("UpdateInterface", "cancelled")
async def configuration_given_up(s: Subject) -> None:
    async with a_link(s):
        await s.abandoned(configure)
        await configure(s)
        assert (await interfaces(s))[LINK].mtu == 1400


@case("ListInterfaces", "happy")
async def the_loopback_is_listed(s: Subject) -> None:
    assert "lo" in await interfaces(s)


stateless("ListInterfaces", the_loopback_is_listed)


# --- UpdateRoutes, ListRoutes ---


def route_request(*wanted: types_pb2.Route) -> agent_pb2.UpdateRoutesRequest:
    return agent_pb2.UpdateRoutesRequest(routes=agent_pb2.Routes(Routes=wanted))


LINK_ROUTE = types_pb2.Route(dest=NETWORK, device=LINK, scope=253)
FAR_ROUTE = types_pb2.Route(dest=BEYOND, gateway=GATEWAY, device=LINK)


async def set_routes(s: Subject) -> None:
    # The first route needs the second one.
    await s.agent.update_routes(route_request(FAR_ROUTE, LINK_ROUTE))


async def assert_routed(s: Subject) -> None:
    assert GATEWAY in [each.gateway for each in await routes(s) if each.device == LINK]


@case("UpdateRoutes", "happy")
async def routed(s: Subject) -> None:
    async with a_link(s):
        await configure(s)
        await set_routes(s)
        await assert_routed(s)


@case("UpdateRoutes", "bad request", INVALID, "UpdateRoutes: no routes")
async def no_routes(s: Subject) -> None:
    await s.agent.update_routes(agent_pb2.UpdateRoutesRequest())


@case("UpdateRoutes", "bad request", INVALID, "'x'", INTERNAL)
async def bad_destination(s: Subject) -> None:
    await s.agent.update_routes(route_request(types_pb2.Route(dest="x", device="lo")))


@case("UpdateRoutes", "bad request", INTERNAL, "nobody", NOT_FOUND)
async def route_by_nobody(s: Subject) -> None:
    route = types_pb2.Route(dest=BEYOND, device="nobody")
    await s.agent.update_routes(route_request(route))


@case("UpdateRoutes", "repeated")
async def routed_twice(s: Subject) -> None:
    async with a_link(s):
        await configure(s)
        await set_routes(s)
        before = len(await routes(s))
        await set_routes(s)
        assert len(await routes(s)) == before


@case("UpdateRoutes", "concurrent")
async def routed_at_once(s: Subject) -> None:
    async with a_link(s):
        await configure(s)
        await asyncio.gather(*(set_routes(s) for _ in range(4)))
        await assert_routed(s)


@case("UpdateRoutes", "cancelled")
async def routing_given_up(s: Subject) -> None:
    async with a_link(s):
        await configure(s)
        await s.abandoned(set_routes)
        await set_routes(s)
        await assert_routed(s)


@case("ListRoutes", "happy")
async def list_routes(s: Subject) -> None:
    await routes(s)


stateless("ListRoutes", list_routes)


# --- AddARPNeighbors ---


def neighbour(device: str = LINK) -> agent_pb2.AddARPNeighborsRequest:
    entry = types_pb2.ARPNeighbor(
        toIPAddress=types_pb2.IPAddress(address=GATEWAY),
        device=device,
        lladdr="02:00:00:00:00:01",
        state=0x80,
    )
    return agent_pb2.AddARPNeighborsRequest(
        neighbors=agent_pb2.ARPNeighbors(ARPNeighbors=[entry])
    )


async def add_neighbour(s: Subject) -> None:
    await s.agent.add_arp_neighbors(neighbour())


async def assert_known(s: Subject) -> None:
    table = await s.output_of("cat", "/proc/net/arp")
    assert GATEWAY.encode() in table


@case("AddARPNeighbors", "happy")
async def known(s: Subject) -> None:
    async with a_link(s):
        await configure(s)
        await add_neighbour(s)
        await assert_known(s)


@case("AddARPNeighbors", "bad request", INVALID, "AddARPNeighbors: no neighbors")
async def no_neighbours(s: Subject) -> None:
    await s.agent.add_arp_neighbors(agent_pb2.AddARPNeighborsRequest())


@case("AddARPNeighbors", "bad request", INVALID, "address ''", INTERNAL)
async def neighbour_without_address(s: Subject) -> None:
    request = neighbour()
    request.neighbors.ARPNeighbors[0].ClearField("toIPAddress")
    await s.agent.add_arp_neighbors(request)


@case("AddARPNeighbors", "bad request", INTERNAL, "nobody", NOT_FOUND)
async def neighbour_of_nobody(s: Subject) -> None:
    await s.agent.add_arp_neighbors(neighbour("nobody"))


@case("AddARPNeighbors", "repeated")
async def known_twice(s: Subject) -> None:
    async with a_link(s):
        await configure(s)
        await add_neighbour(s)
        await add_neighbour(s)
        await assert_known(s)


@case("AddARPNeighbors", "concurrent")
async def known_at_once(s: Subject) -> None:
    async with a_link(s):
        await configure(s)
        await asyncio.gather(*(add_neighbour(s) for _ in range(4)))
        await assert_known(s)


@case("AddARPNeighbors", "cancelled")
async def neighbour_given_up(s: Subject) -> None:
    async with a_link(s):
        await configure(s)
        await s.abandoned(add_neighbour)
        await add_neighbour(s)
        await assert_known(s)


# --- GetIPTables, SetIPTables ---

RULE = b"-A INPUT -s 192.0.2.7/32 -j DROP"
RULES = b"*filter\n:INPUT ACCEPT [0:0]\n%s\nCOMMIT\n"


async def set_tables(s: Subject, rules: bytes = RULES % RULE) -> None:
    await s.agent.set_ip_tables(agent_pb2.SetIPTablesRequest(data=rules))


async def tables(s: Subject) -> bytes:
    return (await s.agent.get_ip_tables(agent_pb2.GetIPTablesRequest())).data


async def clear_tables(s: Subject) -> None:
    await set_tables(s, b"*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n")


@case("SetIPTables", "happy")
async def filtered(s: Subject) -> None:
    await set_tables(s)
    assert RULE in await tables(s)
    await clear_tables(s)
    assert RULE not in await tables(s)


@case("SetIPTables", "bad request", INVALID, "iptables-restore", OK, INTERNAL)
async def bad_rules(s: Subject) -> None:
    await set_tables(s, b"no rules\n")


@case("SetIPTables", "repeated")
async def filtered_twice(s: Subject) -> None:
    await set_tables(s)
    await set_tables(s)
    assert (await tables(s)).count(RULE) == 1
    await clear_tables(s)


@case("SetIPTables", "concurrent")
async def filtered_at_once(s: Subject) -> None:
    await asyncio.gather(*(set_tables(s) for _ in range(4)))
    assert (await tables(s)).count(RULE) == 1
    await clear_tables(s)


@case("SetIPTables", "cancelled")
async def filtering_given_up(s: Subject) -> None:
    await s.abandoned(set_tables)
    await clear_tables(s)
    assert RULE not in await tables(s)


@case("GetIPTables", "happy")
async def both_families(s: Subject) -> None:
    await tables(s)
    await s.agent.get_ip_tables(agent_pb2.GetIPTablesRequest(is_ipv6=True))


stateless("GetIPTables", both_families)
