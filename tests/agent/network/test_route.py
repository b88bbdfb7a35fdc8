# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kata_agent.errors import Internal, InvalidArgument
from kata_agent.network.address import LIMIT, default_prefix
from kata_agent.network.ip import Ip
from kata_agent.network.network import Network
from kata_agent.network.route import Route, commands_for, update_routes
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.system_paths import SystemPaths
from kata_protos import types_pb2
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.network import ip, open_network, routes

KERNEL_SCOPE_LINK = 253


@asynccontextmanager
async def configured() -> AsyncIterator[Network]:
    """A network whose `veth0` has an address of each family."""
    async with open_network() as network:
        ip("address add 192.168.0.2/24 dev veth0")
        ip("address add 2001:db8:1::2/64 dev veth0 nodad")
        ip("link set dev veth0 up")
        yield network


def route(dest: str = "", **fields: Any) -> types_pb2.Route:
    return types_pb2.Route(dest=dest, **fields)


@in_namespaces("v2")
async def test_routes_are_added_those_without_a_gateway_first(world: World) -> None:
    async with configured() as network:
        await network.update_routes(
            [
                route(gateway="10.9.0.1", device="veth0"),
                route("10.9.0.0/16", device="veth0", scope=KERNEL_SCOPE_LINK),
            ]
        )
        assert routes() == {
            "dst default gateway 10.9.0.1 dev veth0",
            "dst 10.9.0.0/16 dev veth0 scope link",
        }


@in_namespaces("v2")
async def test_ipv6_routes(world: World) -> None:
    async with configured() as network:
        listed = await network.update_routes(
            [
                route("2001:db8:9::/48", gateway="2001:db8:1::8", device="veth0"),
                route(gateway="2001:db8:1::1", device="veth0", family=types_pb2.v6),
            ]
        )
        assert routes() == {
            "dst default gateway 2001:db8:1::1 dev veth0",
            "dst 2001:db8:9::/48 gateway 2001:db8:1::8 dev veth0",
        }
        assert ("", "2001:db8:1::1", types_pb2.v6) in [
            (item.dest, item.gateway, item.family) for item in listed.Routes
        ]


@in_namespaces("v2")
async def test_a_point_to_point_network(world: World) -> None:
    async with configured() as network:
        await network.update_routes(
            [
                route(gateway="192.168.0.1", device="veth0"),
                route(
                    "192.168.0.144/16",
                    gateway="192.168.0.1",
                    source="192.168.0.2",
                    device="veth0",
                ),
                route("192.168.0.1/32", device="veth0", scope=254),
            ]
        )
        assert routes() == {
            "dst default gateway 192.168.0.1 dev veth0",
            "dst 192.168.0.0/16 gateway 192.168.0.1 dev veth0 prefsrc 192.168.0.2",
            "dst 192.168.0.1 dev veth0 scope host",
        }


@in_namespaces("v2")
async def test_a_default_route_by_device_alone(world: World) -> None:
    async with configured() as network:
        for _ in range(2):
            await network.update_routes(
                [route(device="veth0", scope=KERNEL_SCOPE_LINK)]
            )
            assert routes() == {"dst default dev veth0 scope link"}


@in_namespaces("v2")
async def test_an_unreachable_gateway_is_an_error_that_names_it(world: World) -> None:
    async with configured() as network:
        with pytest.raises(Internal, match=r"via 10\.9\.0\.1 .*invalid gateway"):
            await network.update_routes([route(gateway="10.9.0.1", device="veth0")])


@in_namespaces("v2")
async def test_onlink_needs_no_way_to_the_gateway(world: World) -> None:
    async with configured() as network:
        listed = await network.update_routes(
            [route(gateway="169.254.1.1", device="veth0", flags=4, mtu=1400)]
        )
        (default,) = [item for item in listed.Routes if not item.dest]
        assert (default.gateway, default.flags, default.mtu) == ("169.254.1.1", 4, 1400)


@in_namespaces("v2")
async def test_a_route_takes_the_place_of_an_older_one(world: World) -> None:
    async with configured() as network:
        ip("route add 10.5.0.0/16 via 192.168.0.3")
        await network.update_routes([route(gateway="192.168.0.1", device="veth0")])
        await network.update_routes([route(gateway="192.168.0.9", device="veth0")])
        assert routes() == {
            "dst default gateway 192.168.0.9 dev veth0",
            "dst 10.5.0.0/16 gateway 192.168.0.3 dev veth0",
        }


@in_namespaces("v2")
async def test_an_explicit_route_overrides_the_kernels(world: World) -> None:
    async with configured() as network:
        await network.update_routes(
            [route("192.168.0.0/24", gateway="192.168.0.9", device="veth0", flags=4)]
        )
        listed = [
            r for r in (await network.list_routes()).Routes if "192.168" in r.dest
        ]
        assert [(r.dest, r.gateway) for r in listed] == [
            ("192.168.0.0/24", "192.168.0.9")
        ]


@in_namespaces("v2")
async def test_a_route_that_the_kernel_has_added_stays(world: World) -> None:
    async with configured() as network:
        before = await network.list_routes()
        after = await network.update_routes(
            [
                route("192.168.0.0/24", device="veth0"),
                route("2001:db8:1::/64", device="veth0"),
            ]
        )
        # The kernel adds the route of a link-local address a little later.
        assert [r for r in after.Routes if not r.dest.startswith("fe80:")] == [
            r for r in before.Routes if not r.dest.startswith("fe80:")
        ]


@in_namespaces("v2")
async def test_two_interfaces_in_one_subnet(world: World) -> None:
    async with configured() as network:
        ip("address add 192.168.0.3/24 dev peer0")
        wanted = [
            route("10.4.0.0/16", device=name, scope=KERNEL_SCOPE_LINK)
            for name in ("veth0", "peer0")
        ]
        for _ in range(2):
            await network.update_routes(wanted)
            assert routes() == {
                "dst 10.4.0.0/16 dev veth0 scope link",
                "dst 10.4.0.0/16 dev peer0 scope link",
            }


@in_namespaces("v2")
async def test_a_change_that_fails_is_taken_back(world: World) -> None:
    async with configured() as network:
        ip("route add default via 192.168.0.1")
        ip("route add 10.5.0.0/16 via 192.168.0.3")
        before = await network.list_routes()
        with pytest.raises(Internal):
            await network.update_routes(
                [
                    route("10.5.0.0/16", device="veth0", scope=KERNEL_SCOPE_LINK),
                    route("2001:db8:9::/48", gateway="2001:db8:1::8", device="veth0"),
                    route(gateway="192.168.0.9", device="veth0"),
                    route("10.6.0.0/16", gateway="10.7.0.1", device="veth0"),
                ]
            )
        after = await network.list_routes()
        # The kernel adds the route of a link-local address a little later.
        assert all(route in after.Routes for route in before.Routes)
        assert routes() == {
            "dst default gateway 192.168.0.1 dev veth0",
            "dst 10.5.0.0/16 gateway 192.168.0.3 dev veth0",
        }


@in_namespaces("v2")
async def test_the_list_has_the_kernels_routes(world: World) -> None:
    async with configured() as network:
        listed = {item.dest: item for item in (await network.list_routes()).Routes}
        connected = listed["192.168.0.0/24"]
        assert connected.source == "192.168.0.2"
        assert connected.scope == KERNEL_SCOPE_LINK
        assert connected.family == types_pb2.v4
        assert listed["2001:db8:1::/64"].family == types_pb2.v6


@in_namespaces("v2")
async def test_the_state_of_the_hosts_route_does_not_matter(world: World) -> None:
    async with configured() as network:
        # RTNH_F_DEAD, _PERVASIVE, _OFFLOAD, _LINKDOWN and RTM_F_CLONED.
        await network.update_routes(
            [route("10.5.0.0/16", gateway="192.168.0.9", device="veth0", flags=0x21B)]
        )
        assert routes() == {"dst 10.5.0.0/16 gateway 192.168.0.9 dev veth0"}


@in_namespaces("v2")
async def test_as_many_routes_as_a_request_may_have(world: World) -> None:
    async with configured() as network:
        wanted = [
            route(f"10.{n >> 8}.{n & 255}.0/24", gateway="192.168.0.9", device="veth0")
            for n in range(LIMIT)
        ]
        for _ in range(2):
            listed = await network.update_routes(wanted)
            assert len([r for r in listed.Routes if r.gateway]) == LIMIT


def test_the_work_grows_with_the_routes_not_with_their_square() -> None:
    """All have one destination, the worst case of a request."""
    many = [
        Route(default_prefix(6), device="eth0", source=f"fd00:{n:x}::/64")
        for n in range(4096)
    ]
    others = [Route(default_prefix(6), device="eth0", mtu=n) for n in range(2000, 6000)]
    start = time.process_time()
    assert len(commands_for(many, [*others, *others])) == len(others)
    # Comparing each with each takes ten seconds.
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "message",
    [
        route("10.0.0.0/8"),
        route("10.0.0.0/33", device="eth0"),
        route("10.0.0.0/8 table 7", device="eth0"),
        route("nonsense", device="eth0"),
        route("10.0.0.0/8", gateway="fd00::1", device="eth0"),
        route("10.0.0.0/8", source="fd00::1", device="eth0"),
        route("10.0.0.0/8", device="eth0 table 7"),
        route("10.0.0.0/8", gateway="300.1.1.1", device="eth0"),
        route("10.0.0.0/8", device="eth0", scope=256),
    ],
)
async def test_an_invalid_route_is_refused(message: types_pb2.Route) -> None:
    with Reaper() as reaper, pytest.raises(InvalidArgument):
        await update_routes(Ip(reaper, SystemPaths(), Reserve()), [message])


async def test_too_many_routes_are_refused() -> None:
    many = [route("10.0.0.0/8", device="eth0")] * (LIMIT + 1)
    with Reaper() as reaper:
        with pytest.raises(InvalidArgument, match="routes: 4097 are more than 4096"):
            await update_routes(Ip(reaper, SystemPaths(), Reserve()), many)
