# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kata_agent.errors import Internal, InvalidArgument, NotFound, Timeout
from kata_agent.options.config import Config
from kata_agent.system_paths import SystemPaths
from kata_protos import types_pb2
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.network import (
    MAC,
    PEER_MAC,
    addresses,
    interface,
    ip,
    ip_bytes,
    open_network,
    routes,
    show,
)


def link(name: str) -> Any:
    (shown,) = show(f"link show dev {name}")
    return shown


@in_namespaces("v2")
async def test_a_link_gets_its_name_addresses_and_mtu(world: World) -> None:
    async with open_network() as network:
        message = interface(
            name="eth0",
            hwAddr=MAC.upper(),
            mtu=1400,
            addresses=["192.168.7.2/24", "fd00:7::2/64"],
        )
        assert await network.update_interface(message) == message
        assert link("eth0")["mtu"] == 1400
        assert "UP" in link("eth0")["flags"]
        (shown,) = show("address show dev eth0")
        v4, v6 = shown["addr_info"][0], shown["addr_info"][1]
        assert (v4["local"], v4["prefixlen"]) == ("192.168.7.2", 24)
        assert v4["broadcast"] == "192.168.7.255"
        assert (v6["local"], v6["prefixlen"], v6["nodad"]) == ("fd00:7::2", 64, True)
        assert "tentative" not in v6


@in_namespaces("v2")
async def test_the_same_request_twice_changes_nothing(world: World) -> None:
    async with open_network() as network:
        message = interface(name="eth0", hwAddr=MAC, mtu=1400, addresses=["10.1.0.2/8"])
        await network.update_interface(message)
        before = show("address show dev eth0")
        await network.update_interface(message)
        assert show("address show dev eth0") == before


@in_namespaces("v2")
async def test_addresses_that_are_there_already_stay(world: World) -> None:
    async with open_network() as network:
        for address in ("10.1.0.2/24", "10.2.0.2/24"):
            await network.update_interface(
                interface(name="veth0", hwAddr=MAC, addresses=[address])
            )
        assert addresses("veth0") == ["10.1.0.2/24", "10.2.0.2/24"]


@in_namespaces("v2")
async def test_an_unknown_mac_finds_the_link_by_name(world: World) -> None:
    new = "02:00:00:00:00:99"
    async with open_network() as network:
        await network.update_interface(interface(name="veth0", hwAddr=new))
        assert link("veth0")["address"] == new


@in_namespaces("v2")
async def test_a_missing_link_has_the_text_that_runtimes_wait_for(world: World) -> None:
    async with open_network() as network:
        with pytest.raises(NotFound, match=r"Link not found \(Address: 02:.*:99\)"):
            await network.update_interface(
                interface(name="eth9", hwAddr="02:00:00:00:00:99")
            )
        with pytest.raises(NotFound, match=r"Link not found \(Name: eth9\)"):
            await network.update_interface(interface(name="eth9"))


@in_namespaces("v2")
async def test_a_link_that_has_the_name_swaps_it(world: World) -> None:
    async with open_network() as network:
        ip("link add eth0 type veth peer name peer1")
        ip("link set dev peer1 up")
        ip("address add 10.8.0.1/24 dev eth0")
        ip("address add fd00:8::1/64 dev eth0 nodad")
        ip("link set dev eth0 up")
        ip("route add 10.80.0.0/16 via 10.8.0.9")
        index = link("eth0")["ifindex"]
        await network.update_interface(
            interface(name="eth0", hwAddr=MAC, addresses=["10.1.0.2/24"])
        )
        assert link("eth0")["address"] == MAC
        assert link("veth0")["ifindex"] == index
        assert addresses("veth0") == ["10.8.0.1/24", "fd00:8::1/64"]
        assert routes() == {"dst 10.80.0.0/16 gateway 10.8.0.9 dev veth0"}


@in_namespaces("v2")
async def test_renaming_keeps_addresses_and_routes(world: World) -> None:
    async with open_network() as network:
        ip("address add 10.8.0.1/24 dev veth0")
        ip("address add fd00:8::1/64 dev veth0 nodad")
        ip("link set dev veth0 up")
        ip("route add default via 10.8.0.9")
        await network.update_interface(interface(name="eth0", hwAddr=MAC))
        assert addresses("eth0") == ["10.8.0.1/24", "fd00:8::1/64"]
        assert routes() == {"dst default gateway 10.8.0.9 dev eth0"}


@in_namespaces("v2")
async def test_arp_is_switched_off_and_on(world: World) -> None:
    async with open_network() as network:
        await network.update_interface(
            interface(name="veth0", hwAddr=MAC, raw_flags=0x80)
        )
        assert "NOARP" in link("veth0")["flags"]
        await network.update_interface(interface(name="veth0", hwAddr=MAC))
        assert "NOARP" not in link("veth0")["flags"]


@in_namespaces("v2")
async def test_ipv6_that_is_off_leaves_ipv4(world: World) -> None:
    async with open_network() as network:
        Path("/proc/sys/net/ipv6/conf/veth0/disable_ipv6").write_text("1")
        await network.update_interface(
            interface(name="veth0", hwAddr=MAC, addresses=["10.1.0.2/24", "fd00::2/64"])
        )
        assert addresses("veth0") == ["10.1.0.2/24"]
        await network.update_routes(
            [
                types_pb2.Route(gateway="10.1.0.1", device="veth0"),
                types_pb2.Route(gateway="fd00::1", device="veth0"),
            ]
        )
        assert routes() == {"dst default gateway 10.1.0.1 dev veth0"}
        await network.add_neighbours(
            [
                types_pb2.ARPNeighbor(
                    toIPAddress=types_pb2.IPAddress(address=address),
                    device="veth0",
                    lladdr=PEER_MAC,
                )
                for address in ("10.1.0.1", "fd00::1")
            ]
        )
        (entry,) = [e for e in show("neighbour show") if e["state"] == ["PERMANENT"]]
        assert entry["dst"] == "10.1.0.1"
        with pytest.raises(Internal, match="nonesuch"):
            await network.update_routes(
                [types_pb2.Route(dest="::/0", device="nonesuch")]
            )


@in_namespaces("v2")
async def test_a_change_that_fails_is_taken_back(world: World) -> None:
    async with open_network() as network:
        ip("link add eth0 type veth peer name peer1")
        ip("link set dev peer1 up")
        ip("address add 10.8.0.1/24 dev eth0")
        ip("link set dev eth0 up")
        ip("address add 10.1.0.1/24 dev veth0")
        ip("address add fd00:1::1/64 dev veth0 nodad")
        ip("link set dev veth0 up")
        ip("route add default via 10.1.0.9")
        ip("route add 10.80.0.0/16 via 10.8.0.9")

        def state() -> Any:
            names = {
                name: (
                    {key: link(name)[key] for key in ("ifindex", "address", "mtu")},
                    "UP" in link(name)["flags"],
                    addresses(name),
                )
                for name in ("eth0", "veth0")
            }
            return names, routes()

        before = state()
        # The last address is a multicast address, which fails after all other changes.
        with pytest.raises(Internal, match=r"ip address replace .*ff00::1/128"):
            await network.update_interface(
                interface(
                    name="eth0",
                    hwAddr=MAC,
                    mtu=1400,
                    raw_flags=0x80,
                    addresses=["10.1.0.2/24", "fd00:1::2/64", "ff00::1/128"],
                )
            )
        assert state() == before


@in_namespaces("v2")
async def test_an_mtu_too_small_for_ipv6_is_taken_back_with_its_routes(
    world: World,
) -> None:
    async with open_network() as network:
        ip("address add fd00:1::1/64 dev veth0 nodad")
        ip("link set dev veth0 up")
        ip("route add fd00:80::/48 via fd00:1::9")
        before = addresses("veth0"), routes()
        with pytest.raises(Internal, match="ff00::1"):
            await network.update_interface(
                interface(hwAddr=MAC, mtu=1000, addresses=["ff00::1/128"])
            )
        assert (addresses("veth0"), routes()) == before
        assert link("veth0")["mtu"] == 1500


@in_namespaces("v2")
async def test_an_absurd_mtu_is_an_error_that_names_it(world: World) -> None:
    async with open_network() as network:
        with pytest.raises(InvalidArgument, match="'veth0': invalid MTU 9{12}"):
            await network.update_interface(
                interface(name="veth0", hwAddr=MAC, mtu=999999999999)
            )
        with pytest.raises(Internal, match="mtu 67: .*less than device minimum"):
            await network.update_interface(interface(name="veth0", hwAddr=MAC, mtu=67))


@in_namespaces("v2")
async def test_a_link_whose_name_no_command_can_hold_is_left_alone(
    world: World,
) -> None:
    """A container that may configure the network can choose any name."""
    names = [b'a"b', b"back\\", b"#x", b"'q", b"\xff\xfe"]
    async with open_network() as network:
        for number, name in enumerate(names, start=1):
            peer = f"p{number}".encode()
            ip_bytes(b"link", b"add", name, b"type", b"veth", b"peer", b"name", peer)
            ip_bytes(b"link", b"set", name, b"up")
            entry = b"10.0.0.1 lladdr 02:00:00:00:00:77 nud permanent dev".split()
            ip_bytes(b"neighbour", b"add", *entry, name)
            ip_bytes(b"route", b"add", b"10.%d.0.0/16" % number, b"dev", name)
        ip("link add eth0 type veth peer name peer1")
        await network.update_interface(
            interface(name="eth0", hwAddr=MAC, addresses=["10.1.0.2/24"])
        )
        with pytest.raises(Internal, match="ff00::1"):
            await network.update_interface(
                interface(name="veth0", hwAddr=MAC, addresses=["ff00::1/128"])
            )
        listed = [item.name for item in (await network.list_interfaces()).Interfaces]
        peers = {f"p{number}" for number, _ in enumerate(names, start=1)}
        assert set(listed) - peers == {"eth0", "lo", "peer0", "peer1", "veth0"}
        assert all(r.device in listed for r in (await network.list_routes()).Routes)


@in_namespaces("v2")
async def test_a_device_that_does_not_come_delays_no_other(world: World) -> None:
    Path("/run/tree/sys/devices/pci0000:00").mkdir(parents=True)
    paths = SystemPaths(sys=Path("/run/tree/sys"))
    async with open_network(paths, Config(hotplug_timeout=60)) as network:
        waiting = asyncio.create_task(
            network.update_interface(interface(hwAddr=MAC, devicePath="02"))
        )
        await asyncio.sleep(0)
        await network.update_interface(interface(name="eth0", hwAddr=MAC))
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])


@in_namespaces("v2")
async def test_all_links_are_listed(world: World) -> None:
    async with open_network() as network:
        await network.update_interface(
            interface(
                name="eth0",
                hwAddr=MAC,
                mtu=1400,
                addresses=["10.1.0.2/8", "fd00::2/64"],
            )
        )
        listed = {
            item.name: item for item in (await network.list_interfaces()).Interfaces
        }
        assert set(listed) == {"lo", "eth0", "peer0"}
        assert listed["lo"].hwAddr == ""
        assert listed["peer0"].hwAddr == PEER_MAC
        eth0 = listed["eth0"]
        assert (eth0.hwAddr, eth0.mtu) == (MAC, 1400)
        assert [(a.family, a.address, a.mask) for a in eth0.IPAddresses][:2] == [
            (types_pb2.v4, "10.1.0.2", "8"),
            (types_pb2.v6, "fd00::2", "64"),
        ]


@in_namespaces("v2")
async def test_a_hot_plugged_device_is_waited_for(world: World) -> None:
    root = Path("/run/tree")
    (root / "sys/class/net").mkdir(parents=True)
    device = root / "sys/devices/pci0000:00/0000:00:02.0/virtio3/net/veth0"
    device.mkdir(parents=True)
    (device / "uevent").write_text("INTERFACE=veth0\nIFINDEX=3\n")
    paths = SystemPaths(sys=root / "sys")
    config = Config(hotplug_timeout=1)
    async with open_network(paths, config) as network:
        message = interface(name="eth0", hwAddr="02:00:00:00:00:99", devicePath="02")
        with pytest.raises(Timeout, match="network interface at PCI path 02"):
            await network.update_interface(message)
        (root / "sys/class/net/veth0").symlink_to(device)
        await network.update_interface(message)
        assert link("eth0")["address"] == "02:00:00:00:00:99"
