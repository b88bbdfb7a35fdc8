# SPDX-License-Identifier: Apache-2.0
"""Interfaces: give a network device of the guest its name, MTU and addresses.

The host names the device by its MAC, and also by its PCI path if the device has just
been plugged in. A change that fails half-way is taken back: names, flags, addresses,
and the routes that were lost with them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from kata_agent.errors import NotFound
from kata_agent.network.address import NAME_LIMIT, V4, V6
from kata_agent.network.interface_request import InterfaceRequest
from kata_agent.network.ip import Ip
from kata_agent.network.link import Link, add_address, read_links
from kata_agent.network.route import Route, commands_to_restore, read_routes
from kata_agent.network.undo import undone_on_failure
from kata_protos import agent_pb2, types_pb2

log = logging.getLogger(__name__)

V6_MTU: Final = 1280
"""Bytes; with a lower MTU a link loses all of IPv6 (RFC 8200, section 5)."""


async def update_interface(
    ip: Ip, request: InterfaceRequest, device: str | None
) -> None:
    """Configure one link as requested. The link's other addresses stay.

    `device` is the link's present name, if the host named the link by a PCI path.
    Raises `NotFound` and `Internal`.
    """
    links = await read_links(ip)
    link = find_link(links, request, device)
    # Every sandbox start updates each interface: avoid running `ip` when not needed.
    routes = await read_routes(ip) if _may_lose_routes(link, request) else []
    commands = commands_for(ip, links, link, request, routes)
    async with undone_on_failure(lambda: _restore(ip, links, routes), ip.reserve):
        await ip.change(commands)


async def list_interfaces(ip: Ip) -> agent_pb2.Interfaces:
    """Return all links with their addresses. Raises `Internal`."""
    return agent_pb2.Interfaces(
        Interfaces=[_to_message(link) for link in await read_links(ip)]
    )


def find_link(
    links: Sequence[Link], request: InterfaceRequest, device: str | None
) -> Link:
    """Return the link that the request is for, by `device`, by MAC, or by name.

    A later criterion counts only if no link meets the ones before it. Raises
    `NotFound`.
    """
    if device is not None:
        found = [link for link in links if link.name == device]
    else:
        found = [link for link in links if request.mac and link.mac == request.mac]
        # A VLAN or a bridge may have taken its MAC from the device itself.
        found.sort(key=lambda link: (link.name != request.name, link.is_virtual))
        found += [link for link in links if link.name == request.name]
    if not found:
        # Kata's Go runtime tries again as long as the error is "Link not found".
        key = f"Address: {request.mac}" if request.mac else f"Name: {request.name}"
        raise NotFound(f"Link not found ({key})")
    return found[0]


def commands_for(
    ip: Ip,
    links: Sequence[Link],
    link: Link,
    request: InterfaceRequest,
    routes: Iterable[Route],
) -> list[str]:
    """Return the commands that configure `link` as requested."""
    name = request.name or link.name
    has_new_mac = request.mac not in ("", link.mac)
    goes_down = _goes_down(link, request)
    commands = []
    if goes_down:
        commands += _rename(links, link, name, routes)
    if has_new_mac:
        commands.append(f"link set dev {name} address {request.mac}")
    if request.mtu not in (0, link.mtu):
        commands.append(f"link set dev {name} mtu {request.mtu}")
    if request.has_arp != link.has_arp:
        commands.append(f"link set dev {name} arp {_on(request.has_arp)}")
    commands.append(f"link set dev {name} up")
    without_v6 = ip.lacks_ipv6(link.name)
    for prefix in request.addresses:
        if prefix.version == V6 and without_v6:
            log.warning(
                "IPv6 is off, address left out",
                extra={"interface": name, "address": str(prefix)},
            )
        else:
            commands.append(add_address(name, prefix))
    if goes_down:
        commands += _revive(link, name, routes)
    return commands


def _goes_down(link: Link, request: InterfaceRequest) -> bool:
    """Tell whether a link must be taken down, as it must for a new name or MAC."""
    return request.name not in ("", link.name) or request.mac not in ("", link.mac)


def _may_lose_routes(link: Link, request: InterfaceRequest) -> bool:
    return _goes_down(link, request) or 0 < request.mtu < V6_MTU


def _rename(
    links: Sequence[Link], link: Link, name: str, routes: Iterable[Route]
) -> list[str]:
    """Return the commands that take `link` down and rename it.

    A link that has that name gets the name of `link` in exchange.
    """
    commands = [f"link set dev {link.name} down"]
    if name == link.name:
        return commands
    owner = next((other for other in links if other.name == name), None)
    if owner is None:
        return [*commands, f"link set dev {link.name} name {name}"]
    temporary = _temporary_name(owner)
    commands += [
        f"link set dev {owner.name} down",
        f"link set dev {owner.name} name {temporary}",
        f"link set dev {link.name} name {name}",
        f"link set dev {temporary} name {link.name}",
    ]
    if owner.is_up:
        commands.append(f"link set dev {link.name} up")
        commands += _revive(owner, link.name, routes)
    return commands


def _revive(before: Link, name: str, routes: Iterable[Route]) -> list[str]:
    """Return the commands that restore the addresses and routes of a link, now `name`.

    A link that goes down loses all routes, and its IPv6 addresses.
    """
    commands = [
        add_address(name, prefix) for prefix in before.addresses if prefix.version == V6
    ]
    lost = [route for route in routes if route.device == before.name]
    return commands + commands_to_restore([route.on(name) for route in lost])


async def _restore(ip: Ip, before: Sequence[Link], routes: Sequence[Route]) -> None:
    """Put links and routes back, as far as they have changed."""
    now = {link.index: link for link in await read_links(ip)}
    pairs = [(now[link.index], link) for link in before if link.index in now]
    moved = [
        (is_now, was)
        for is_now, was in pairs
        if (is_now.name, is_now.mac) != (was.name, was.mac)
    ]
    commands = []
    # First each gets a temporary name, because two links may have swapped theirs.
    for is_now, _ in moved:
        commands.append(f"link set dev {is_now.name} down")
        commands.append(f"link set dev {is_now.name} name {_temporary_name(is_now)}")
    for is_now, was in moved:
        commands.append(f"link set dev {_temporary_name(is_now)} name {was.name}")
        if is_now.mac != was.mac and was.mac:
            commands.append(f"link set dev {was.name} address {was.mac}")
    for is_now, was in pairs:
        commands += _restore_link(is_now, was, was_moved=(is_now, was) in moved)
    await ip.restore(commands)
    present = set(await read_routes(ip))
    await ip.restore(commands_to_restore([r for r in routes if r not in present]))


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
    # A moved link has been taken down just now, and has lost its IPv6 addresses.
    commands += [
        add_address(was.name, prefix)
        for prefix in was.addresses
        if prefix not in is_now.addresses or (was_moved and prefix.version == V6)
    ]
    return commands


def _temporary_name(link: Link) -> str:
    """Return a name that no other link has, for the time of a swap."""
    return f"kata-swap{link.index}"[:NAME_LIMIT]


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
            for prefix in (*link.addresses, *link.automatic_addresses)
        ],
    )
