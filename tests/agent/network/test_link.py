# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_agent.network.address import parse_prefix
from kata_agent.network.ip import Ip
from kata_agent.network.link import add_address, read_links
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.system_paths import SystemPaths
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.network import MAC, ip


@in_namespaces("v2")
async def test_links_are_read_in_the_order_of_their_indexes(world: World) -> None:
    ip(f"link add veth0 address {MAC} type veth peer name peer0")
    ip("link set dev peer0 up")
    ip("link set dev veth0 up mtu 1400 arp off")
    ip("address add 10.1.0.2/24 dev veth0")
    ip("address add fd00::2/64 dev veth0 nodad")
    ip("link add link veth0 name vlan0 type macvlan")
    with Reaper() as reaper:
        links = await read_links(Ip(reaper, SystemPaths(), Reserve()))
    assert [link.index for link in links] == sorted(link.index for link in links)
    by_name = {link.name: link for link in links}
    veth = by_name["veth0"]
    assert (veth.mac, veth.mtu, veth.is_up, veth.has_arp) == (MAC, 1400, True, False)
    assert {str(each) for each in veth.addresses} == {"10.1.0.2/24", "fd00::2/64"}
    assert by_name["lo"].mac == ""
    assert (by_name["vlan0"].is_virtual, by_name["vlan0"].is_up) == (True, False)
    assert not by_name["lo"].is_virtual


@in_namespaces("v2")
async def test_an_address_that_the_kernel_added_is_told_apart(world: World) -> None:
    ip("link add d1 type veth peer name p1")
    ip("address add fe80::1/64 dev d1 nodad")
    with Reaper() as reaper:
        links = await read_links(Ip(reaper, SystemPaths(), Reserve()))
    (dummy,) = (link for link in links if link.name == "d1")
    assert dummy.addresses == ()
    assert [str(each) for each in dummy.automatic_addresses] == ["fe80::1/64"]


def test_the_command_depends_on_the_family_and_the_length() -> None:
    commands = [
        add_address("eth0", parse_prefix(text))
        for text in ("10.1.0.2/24", "10.1.0.2/31", "fd00::2/64")
    ]
    assert commands == [
        "address replace 10.1.0.2/24 dev eth0 broadcast +",
        "address replace 10.1.0.2/31 dev eth0",
        "address replace fd00::2/64 dev eth0 nodad",
    ]
