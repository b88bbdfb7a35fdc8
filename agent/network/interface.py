# SPDX-License-Identifier: Apache-2.0
"""Interfaces: give a network device of the guest the name and addresses it is to have.

The host knows the device by its MAC, and by its PCI path if it was plugged in
just now. A change that fails half-way is taken back: names, flags, addresses
and the routes that went with them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.network import wait_for_interface
from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.network.address import (
    V4,
    V6,
    Prefix,
    check_count,
    parse_interface_name,
    parse_mac,
    parse_prefix,
)
from kata_agent.network.ip import change, put_back, restoring
from kata_agent.network.link import Link, add_address, lacks_v6, read_links
from kata_agent.network.route import Route, commands_to_restore, read_routes
from kata_agent.reaper import Reaper
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2, types_pb2

log = logging.getLogger(__name__)

IFF_NOARP: Final = 0x80
MTU_LIMIT: Final = 2**31 - 1
"""The kernel's; each driver has a lower one of its own."""
V6_MTU: Final = 1280
"""Below that, a link loses all of IPv6 (RFC 8200)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request, checked."""

    name: str
    mac: str
    """Empty: the link is known by its name."""
    mtu: int
    """0: as it is."""
    has_arp: bool
    addresses: tuple[Prefix, ...]


def to_wanted(message: types_pb2.Interface) -> Wanted:
    """Check a request. Raises `InvalidArgument`."""
    if not message.hwAddr and not message.name:
        raise InvalidArgument("interface: neither a name nor a link-layer address")
    name = parse_interface_name(message.name) if message.name else ""
    mac = parse_mac(message.hwAddr) if message.hwAddr else ""
    what = f"interface {name or mac!r}"
    check_count(f"{what}: addresses", message.IPAddresses)
    if message.mtu > MTU_LIMIT:
        raise InvalidArgument(f"{what}: no MTU can be {message.mtu}")
    addresses = []
    for address in message.IPAddresses:
        if "/" in address.address or not address.mask:
            raise InvalidArgument(f"address {address.address!r}: no prefix length")
        addresses.append(parse_prefix(f"{address.address}/{address.mask}"))
    return Wanted(
        name=name,
        mac=mac,
        mtu=message.mtu,
        has_arp=not message.raw_flags & IFF_NOARP,
        addresses=tuple(addresses),
    )


async def find_device(hotplug: Hotplug, pci_path: str) -> str | None:
    """Return the name of the interface at `pci_path`, None without a path.

    Waits for it. Raises `Timeout`.
    """
    return await wait_for_interface(hotplug, pci_path) if pci_path else None


async def update_interface(
    reaper: Reaper, paths: SystemPaths, wanted: Wanted, device: str | None
) -> None:
    """Make the link what is wanted. Addresses that it has besides stay."""
    links = await read_links(reaper)
    link = find_link(links, wanted, device)
    # One call for each interface opens every sandbox: no program without a need.
    routes = await read_routes(reaper) if _may_lose_routes(link, wanted) else []
    commands = commands_for(paths, links, link, wanted, routes)
    async with restoring(lambda: _restore(reaper, links, routes)):
        await change(reaper, commands)


async def list_interfaces(reaper: Reaper) -> agent_pb2.Interfaces:
    """Return all links with their addresses."""
    return agent_pb2.Interfaces(
        Interfaces=[_to_message(link) for link in await read_links(reaper)]
    )


def find_link(links: Sequence[Link], wanted: Wanted, device: str | None) -> Link:
    """Return the link that is meant: by device, else by MAC, else by name."""
    if device is not None:
        found = [link for link in links if link.name == device]
    else:
        found = [link for link in links if wanted.mac and link.mac == wanted.mac]
        # A VLAN or a bridge may have its MAC from the device that is meant.
        found.sort(key=lambda link: (link.name != wanted.name, link.is_virtual))
        found += [link for link in links if link.name == wanted.name]
    if not found:
        # Kata's Go runtime tries again while it reads "Link not found".
        what = f"Address: {wanted.mac}" if wanted.mac else f"Name: {wanted.name}"
        raise NotFound(f"Link not found ({what})")
    return found[0]


def commands_for(
    paths: SystemPaths,
    links: Sequence[Link],
    link: Link,
    wanted: Wanted,
    routes: Iterable[Route],
) -> list[str]:
    """Return the commands that make `link` what is wanted."""
    name = wanted.name or link.name
    has_new_mac = wanted.mac not in ("", link.mac)
    goes_down = _goes_down(link, wanted)
    commands = []
    if goes_down:
        commands += _rename(links, link, name, routes)
    if has_new_mac:
        commands.append(f"link set dev {name} address {wanted.mac}")
    if wanted.mtu not in (0, link.mtu):
        commands.append(f"link set dev {name} mtu {wanted.mtu}")
    if wanted.has_arp != link.has_arp:
        commands.append(f"link set dev {name} arp {_on(wanted.has_arp)}")
    commands.append(f"link set dev {name} up")
    without_v6 = lacks_v6(paths, link.name)
    for prefix in wanted.addresses:
        if prefix.version == V6 and without_v6:
            log.warning("interface %s: IPv6 is off, left out %s", name, prefix)
        else:
            commands.append(add_address(name, prefix))
    if goes_down:
        commands += _revive(link, name, routes)
    return commands


def _goes_down(link: Link, wanted: Wanted) -> bool:
    """A link has to be down for a new name or MAC."""
    return wanted.name not in ("", link.name) or wanted.mac not in ("", link.mac)


def _may_lose_routes(link: Link, wanted: Wanted) -> bool:
    return _goes_down(link, wanted) or 0 < wanted.mtu < V6_MTU


def _rename(
    links: Sequence[Link], link: Link, name: str, routes: Iterable[Route]
) -> list[str]:
    """Take `link` down and give it a name, which its present owner swaps for ours."""
    commands = [f"link set dev {link.name} down"]
    if name == link.name:
        return commands
    owner = next((other for other in links if other.name == name), None)
    if owner is None:
        return [*commands, f"link set dev {link.name} name {name}"]
    aside = _aside(owner)
    commands += [
        f"link set dev {owner.name} down",
        f"link set dev {owner.name} name {aside}",
        f"link set dev {link.name} name {name}",
        f"link set dev {aside} name {link.name}",
    ]
    if owner.is_up:
        commands.append(f"link set dev {link.name} up")
        commands += _revive(owner, link.name, routes)
    return commands


def _revive(before: Link, name: str, routes: Iterable[Route]) -> list[str]:
    """Return the commands that give a link, now `name`, back what it lost when down.

    Down takes all its routes, and IPv6 its addresses.
    """
    commands = [
        add_address(name, prefix) for prefix in before.addresses if prefix.version == V6
    ]
    lost = [route for route in routes if route.device == before.name]
    return commands + commands_to_restore([route.on(name) for route in lost])


async def _restore(
    reaper: Reaper, before: Sequence[Link], routes: Sequence[Route]
) -> None:
    """Put links and routes back, as far as they differ from before."""
    now = {link.index: link for link in await read_links(reaper)}
    pairs = [(now[link.index], link) for link in before if link.index in now]
    moved = [
        (is_now, was)
        for is_now, was in pairs
        if (is_now.name, is_now.mac) != (was.name, was.mac)
    ]
    commands = []
    # All aside first: two of them may have swapped names.
    for is_now, _ in moved:
        commands.append(f"link set dev {is_now.name} down")
        commands.append(f"link set dev {is_now.name} name {_aside(is_now)}")
    for is_now, was in moved:
        commands.append(f"link set dev {_aside(is_now)} name {was.name}")
        if is_now.mac != was.mac and was.mac:
            commands.append(f"link set dev {was.name} address {was.mac}")
    for is_now, was in pairs:
        commands += _restore_link(is_now, was, was_moved=(is_now, was) in moved)
    await put_back(reaper, commands)
    present = set(await read_routes(reaper))
    await put_back(reaper, commands_to_restore([r for r in routes if r not in present]))


def _restore_link(is_now: Link, was: Link, *, was_moved: bool) -> list[str]:
    commands = []
    if is_now.mtu != was.mtu:
        commands.append(f"link set dev {was.name} mtu {was.mtu}")
    if is_now.has_arp != was.has_arp:
        commands.append(f"link set dev {was.name} arp {_on(was.has_arp)}")
    if was_moved or is_now.is_up != was.is_up:
        commands.append(f"link set dev {was.name} {'up' if was.is_up else 'down'}")
    commands += [
        f"address del {prefix} dev {was.name}"
        for prefix in is_now.addresses
        if prefix not in was.addresses
    ]
    # A link that was down has lost its IPv6 addresses, whether or not seen here.
    commands += [
        add_address(was.name, prefix)
        for prefix in was.addresses
        if prefix not in is_now.addresses or (was_moved and prefix.version == V6)
    ]
    return commands


def _aside(link: Link) -> str:
    """Return a name that nobody has, for the time of a swap."""
    return f"kata-swap{link.index}"[:15]


def _on(value: bool) -> str:
    return "on" if value else "off"


def _to_message(link: Link) -> types_pb2.Interface:
    return types_pb2.Interface(
        name=link.name,
        hwAddr=link.mac,
        mtu=link.mtu,
        IPAddresses=[
            types_pb2.IPAddress(
                family=types_pb2.v4 if prefix.version == V4 else types_pb2.v6,
                address=prefix.address,
                mask=str(prefix.length),
            )
            for prefix in (*link.addresses, *link.own_addresses)
        ],
    )
