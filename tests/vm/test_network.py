# SPDX-License-Identifier: Apache-2.0
"""The guest's network, on virtio interfaces that are plugged in while it runs.

At the other end is QEMU's own user network without a way out: it answers pings at
10.0.2.2 and fec0::2, and has no other host.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any

import pytest

from kata_host.client import AgentClient
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.guest.vm_command import BRIDGE, BRIDGE_SLOT
from kata_host.guest.vm_guest import VmGuest
from kata_protos import agent_pb2, types_pb2
from tests.helpers.network import interface
from tests.helpers.plug import Plug
from tests.helpers.shell import Shell
from ttrpc.codes import Code
from ttrpc.errors import StatusError

pytestmark = [pytest.mark.vm, pytest.mark.slow]

V4, V6 = "10.0.2.15/24", "fec0::15/64"
GATEWAY, GATEWAY_V6 = "10.0.2.2", "fec0::2"
FIRST_SLOT = 0x14
RETRY_INTERVAL = 0.02
"""Seconds, as in Kata's Go runtime."""
IP = "/usr/sbin/ip"
"""By its path: a shell of busybox has an `ip` of its own."""
LINK_NOT_FOUND = "Link not found"
RULES = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
{rule}
COMMIT
"""


@dataclass(frozen=True, slots=True)
class Nic:
    """A virtio interface behind the guest's PCI bridge, as a Kata runtime plugs one."""

    number: int

    @property
    def mac(self) -> str:
        return f"02:00:00:00:10:{self.number:02x}"

    @property
    def slot(self) -> int:
        return FIRST_SLOT + self.number

    @property
    def pci_path(self) -> str:
        return f"{BRIDGE_SLOT:02x}/{self.slot:02x}"

    def plug(self, plug: Plug) -> None:
        plug.nic(BRIDGE, addr=f"{self.slot:#x}", mac=self.mac)

    def message(self, **fields: Any) -> types_pb2.Interface:
        """A request for this interface."""
        fields = {"hwAddr": self.mac, "devicePath": self.pci_path, **fields}
        return interface(**fields)


@pytest.fixture
def nic(plug: Plug) -> Nic:
    """A plugged interface."""
    nic = Nic(1)
    nic.plug(plug)
    return nic


async def update(client: AgentClient, message: types_pb2.Interface) -> None:
    request = agent_pb2.UpdateInterfaceRequest(interface=message)
    assert await client.agent.update_interface(request) == message


async def is_updated(client: AgentClient, message: types_pb2.Interface) -> bool:
    """Return whether the link was found; raise any other failure."""
    try:
        await update(client, message)
    except StatusError as error:
        if LINK_NOT_FOUND not in error.message:
            raise
        return False
    return True


async def route(client: AgentClient, *routes: types_pb2.Route) -> list[types_pb2.Route]:
    request = agent_pb2.UpdateRoutesRequest(routes=agent_pb2.Routes(Routes=routes))
    return list((await client.agent.update_routes(request)).Routes)


def ip(shell: Shell, command: str) -> list[Any]:
    """Return the output of `ip COMMAND` in the guest."""
    shown: list[Any] = json.loads(shell.run(f"{IP} -json {command}") or "[]")
    return shown


def link(shell: Shell, name: str) -> Any:
    (shown,) = ip(shell, f"address show dev {name}")
    return shown


def state(shell: Shell) -> Any:
    """Links, addresses and routes, without the parts that change by themselves."""
    addresses = [
        (
            shown["ifname"],
            *(shown[key] for key in ("ifindex", "mtu", "address")),
            "UP" in shown["flags"],
            "NOARP" in shown["flags"],
            sorted(
                f"{info['local']}/{info['prefixlen']}"
                for info in shown["addr_info"]
                if info["scope"] != "link" and not info.get("dynamic")
            ),
        )
        for shown in ip(shell, "address show")
    ]
    routes = [
        (shown["dst"], shown.get("gateway"), shown.get("dev"), shown.get("metric"))
        for version in ("-4", "-6")
        for shown in ip(shell, f"{version} route show")
        if shown.get("protocol") not in ("kernel", "ra")
    ]
    return addresses, sorted(routes, key=str)


def answers(shell: Shell, address: str) -> bool:
    output = shell.run(f"ping -c 1 -W 3 {address}")
    assert output.startswith("PING"), output
    return " 1 packets received" in output


async def test_a_plugged_interface_is_waited_for_and_reaches_the_gateway(
    plug: Plug, client: AgentClient, shell: Shell
) -> None:
    nic = Nic(0)
    message = nic.message(name="eth0", mtu=1400, addresses=[V4, V6])
    waiting = asyncio.create_task(update(client, message))
    # The response to a later call shows that the wait has begun.
    await client.check()
    assert not waiting.done()
    nic.plug(plug)
    await waiting
    shown = link(shell, "eth0")
    assert (shown["address"], shown["mtu"]) == (nic.mac, 1400)
    assert "UP" in shown["flags"]
    listed = await route(
        client,
        types_pb2.Route(gateway=GATEWAY, device="eth0"),
        types_pb2.Route(gateway=GATEWAY_V6, device="eth0", family=types_pb2.v6),
    )
    gateways = {r.gateway for r in listed if not r.dest}
    # QEMU's network advertises one more address.
    assert gateways >= {GATEWAY, GATEWAY_V6}
    assert answers(shell, GATEWAY)
    assert answers(shell, GATEWAY_V6)


async def test_an_interface_that_does_not_come_is_an_error_after_the_timeout(
    client: AgentClient,
) -> None:
    nic = Nic(9)
    start = time.monotonic()
    with pytest.raises(StatusError, match=rf"after 3s waiting for .*{nic.pci_path}$"):
        await update(client, nic.message(name="eth0"))
    assert 3 <= time.monotonic() - start < 10


async def test_the_go_runtime_tries_again_until_the_link_is_found(
    plug: Plug, client: AgentClient
) -> None:
    """Without a PCI path, the runtime names the MAC and reads the error's text."""
    nic = Nic(1)
    message = interface(name="eth0", hwAddr=nic.mac, addresses=[V4])
    with pytest.raises(StatusError) as failed:
        await update(client, message)
    assert LINK_NOT_FOUND in failed.value.message
    nic.plug(plug)
    async with asyncio.timeout(30):
        while not await is_updated(client, message):
            await asyncio.sleep(RETRY_INTERVAL)


async def test_two_interfaces_swap_their_names(
    nic: Nic, plug: Plug, client: AgentClient, shell: Shell
) -> None:
    first, second = nic, Nic(2)
    second.plug(plug)
    await update(client, first.message(name="eth0", addresses=[V4]))
    await update(client, second.message(name="eth1", addresses=["10.9.0.1/24"]))
    await update(client, first.message(name="eth1"))
    assert link(shell, "eth1")["address"] == first.mac
    assert link(shell, "eth0")["address"] == second.mac
    assert [info["local"] for info in link(shell, "eth0")["addr_info"]][:1] == [
        "10.9.0.1"
    ]
    assert answers(shell, GATEWAY)


async def test_the_interface_at_a_path_gets_the_mac_that_is_wanted(
    nic: Nic, client: AgentClient, shell: Shell
) -> None:
    other = "02:00:00:00:99:99"
    await update(client, nic.message(name="net0", hwAddr=other, addresses=[V4]))
    assert link(shell, "net0")["address"] == other
    assert answers(shell, GATEWAY)


async def test_a_change_that_fails_leaves_a_network_that_works(
    nic: Nic, client: AgentClient, shell: Shell
) -> None:
    await update(client, nic.message(name="eth0", addresses=[V4, V6]))
    await route(client, types_pb2.Route(gateway=GATEWAY, device="eth0"))
    before = state(shell)
    bad = nic.message(
        name="net7",
        hwAddr="02:00:00:00:99:99",
        mtu=1300,
        raw_flags=0x80,
        addresses=["10.0.2.16/24", "ff00::1/128"],
    )
    with pytest.raises(StatusError, match="ff00::1"):
        await update(client, bad)
    with pytest.raises(StatusError, match=r"via 10\.99\.0\.1"):
        await route(
            client,
            types_pb2.Route(dest="10.5.0.0/16", gateway=GATEWAY, device="eth0"),
            types_pb2.Route(gateway="10.99.0.1", device="eth0"),
        )
    assert state(shell) == before
    assert answers(shell, GATEWAY)
    assert answers(shell, GATEWAY_V6)


async def test_routes_that_need_each_other_come_in_any_order(
    nic: Nic, client: AgentClient, shell: Shell
) -> None:
    """In a point-to-point network, the gateway is outside of the address's prefix."""
    await update(client, nic.message(name="eth0", addresses=["10.0.2.15/32"]))
    await route(
        client,
        types_pb2.Route(dest="10.7.0.0/16", gateway=GATEWAY, device="eth0"),
        types_pb2.Route(gateway=GATEWAY, device="eth0", source="10.0.2.15"),
        types_pb2.Route(dest=f"{GATEWAY}/32", device="eth0", scope=253),
    )
    routes = {shown["dst"]: shown for shown in ip(shell, "-4 route show")}
    assert routes["default"]["prefsrc"] == "10.0.2.15"
    assert routes["10.7.0.0/16"]["gateway"] == GATEWAY
    assert routes[GATEWAY]["scope"] == "link"
    assert answers(shell, GATEWAY)


async def test_without_arp_only_known_neighbours_are_reached(
    nic: Nic, client: AgentClient, shell: Shell
) -> None:
    await update(client, nic.message(name="eth0", raw_flags=0x80, addresses=[V4, V6]))
    assert "NOARP" in link(shell, "eth0")["flags"]
    await update(client, nic.message(name="eth0"))
    # The MAC address of the gateway in QEMU's network.
    neighbours = [
        types_pb2.ARPNeighbor(
            toIPAddress=types_pb2.IPAddress(address=address),
            device="eth0",
            lladdr="52:55:0a:00:02:02",
            state=0x80,
        )
        for address in (GATEWAY, "fec0::77")
    ]
    await client.agent.add_arp_neighbors(
        agent_pb2.AddARPNeighborsRequest(
            neighbors=agent_pb2.ARPNeighbors(ARPNeighbors=neighbours)
        )
    )
    shown = {entry["dst"]: entry for entry in ip(shell, "neighbour show dev eth0")}
    for address in (GATEWAY, "fec0::77"):
        assert shown[address]["lladdr"] == "52:55:0a:00:02:02"
        assert shown[address]["state"] == ["PERMANENT"]
    assert answers(shell, GATEWAY)


async def test_firewall_rules_work_and_can_be_removed(
    nic: Nic, client: AgentClient, shell: Shell
) -> None:
    await update(client, nic.message(name="eth0", addresses=[V4, V6]))
    for is_v6, protocol, gateway in (
        (False, "icmp", GATEWAY),
        (True, "ipv6-icmp", GATEWAY_V6),
    ):

        async def set_rule(rule: str, is_v6: bool = is_v6) -> None:
            await client.agent.set_ip_tables(
                agent_pb2.SetIPTablesRequest(
                    is_ipv6=is_v6, data=RULES.format(rule=rule).encode()
                )
            )

        rule = f"-A OUTPUT -d {gateway} -p {protocol} -j DROP"
        assert answers(shell, gateway)
        await set_rule(rule)
        assert not answers(shell, gateway)
        request = agent_pb2.GetIPTablesRequest(is_ipv6=is_v6)
        saved = (await client.agent.get_ip_tables(request)).data.decode()
        assert f"-d {gateway}/" in saved
        with pytest.raises(StatusError, match="tables-restore") as refused:
            await set_rule("-A NONESUCH -j DROP")
        assert refused.value.code == Code.INVALID_ARGUMENT
        assert not answers(shell, gateway)
        await set_rule("")
        assert answers(shell, gateway)


async def test_hostile_values_are_refused_and_change_nothing(
    nic: Nic, client: AgentClient, shell: Shell
) -> None:
    await update(client, nic.message(name="eth0", addresses=[V4]))
    before = state(shell)
    bad_interfaces = [
        nic.message(name="eth0\nlink set dev eth0 down"),
        nic.message(name="eth0 mtu 68"),
        nic.message(name='"'),
        nic.message(name="x" * 16),
        nic.message(name="eth0", mtu=2**63),
        nic.message(name="eth0", addresses=["10.0.0.1/33"]),
        nic.message(name="eth0", addresses=["10.0.0.1/8\nlink del eth0"]),
        nic.message(name="eth0", devicePath="../../etc"),
        nic.message(name="eth0", devicePath="10/14\n"),
        interface(name="eth0", hwAddr="02:00:00:00:10:01 name x"),
    ]
    for message in bad_interfaces:
        with pytest.raises(StatusError) as refused:
            await update(client, message)
        assert refused.value.code == Code.INVALID_ARGUMENT, refused.value
    bad_routes = [
        [types_pb2.Route(dest="10.0.0.0/8\nlink del eth0", device="eth0")],
        [types_pb2.Route(dest="10.0.0.0/8", device="eth0\nlink del eth0")],
        [types_pb2.Route(dest="10.0.0.0/99", device="eth0")],
        [types_pb2.Route(dest="10.0.0.0/8", gateway="fd00::1", device="eth0")],
        [types_pb2.Route(dest="10.0.0.0/8", device="eth0")] * 10_000,
    ]
    for routes in bad_routes:
        with pytest.raises(StatusError) as refused:
            await route(client, *routes)
        assert refused.value.code == Code.INVALID_ARGUMENT, refused.value
    with pytest.raises(StatusError, match="Cannot find device"):
        await route(client, types_pb2.Route(dest="10.0.0.0/8", device="nonesuch"))
    assert state(shell) == before


async def test_thousands_of_routes_do_not_delay_other_calls(
    nic: Nic, guest: VmGuest, client: AgentClient
) -> None:
    await update(client, nic.message(name="eth0", addresses=[V4]))
    routes = [
        types_pb2.Route(
            dest=f"10.{64 + (n >> 8)}.{n & 255}.0/24", gateway=GATEWAY, device="eth0"
        )
        for n in range(4096)
    ]
    waits = []
    async with AgentClient.connect(guest.address) as other:
        adding = asyncio.create_task(route(client, *routes))
        while not adding.done():
            start = time.monotonic()
            await other.check()
            waits.append(time.monotonic() - start)
            await asyncio.sleep(0.02)
        assert len([r for r in await adding if r.gateway == GATEWAY]) == len(routes)
    # Generous, because the CPU is emulated and shared. A health check allows seconds.
    assert max(waits) < 3, max(waits)


async def run(client: AgentClient, script: str, *capabilities: str) -> str:
    """Run a script in a container with the guest's programs; return its output."""
    process = default_process(["sh", "-c", f"exec 2>&1; {script}"])
    for names in (
        process.Capabilities.Bounding,
        process.Capabilities.Effective,
        process.Capabilities.Permitted,
    ):
        del names[:]
        names.extend(capabilities)
    storage, root = writable_layer("net", "/")
    spec = default_spec("net", process, rootfs=root)
    async with client.started_container("net", spec, [storage]) as container:
        return (await container.init.communicate()).stdout.decode()


async def test_containers_share_the_network_and_cannot_change_it(
    nic: Nic, client: AgentClient
) -> None:
    await update(client, nic.message(name="eth0", addresses=[V4]))
    shown = await run(
        client, f"{IP} address show dev eth0; {IP} link set dev eth0 down"
    )
    assert V4 in shown
    assert "Operation not permitted" in shown


async def test_net_admin_alone_is_enough_for_ip_and_iptables(
    nic: Nic, client: AgentClient, shell: Shell
) -> None:
    await update(client, nic.message(name="eth0", addresses=[V4]))
    script = (
        f"{IP} route add 10.8.0.0/16 via 10.0.2.2 && {IP} -o route show 10.8.0.0/16 && "
        "iptables -A OUTPUT -d 10.8.0.1 -j DROP && iptables-save && iptables -F OUTPUT"
    )
    said = await run(client, script, "CAP_NET_ADMIN")
    assert "-A OUTPUT -d 10.8.0.1/32 -j DROP" in said
    assert "10.8.0.0/16 via 10.0.2.2" in said
