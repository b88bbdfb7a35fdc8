# SPDX-License-Identifier: Apache-2.0
"""Routes of the main table.

The host requests routes, and all others stay. A requested route replaces an older one
to the same destination. A requested route never replaces another route of the same
request, nor the route that the kernel made for another interface in the same subnet. If
a route cannot be added, the table is put back.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from kata_agent.blocking import blocking
from kata_agent.errors import InvalidArgument
from kata_agent.network.address import (
    V4,
    V6,
    Prefix,
    check_count,
    default_prefix,
    parse_address,
    parse_interface_name,
    parse_prefix,
)
from kata_agent.network.ip import Ip
from kata_agent.network.undo import undone_on_failure
from kata_protos import agent_pb2, types_pb2

log = logging.getLogger(__name__)

# linux/rtnetlink.h
RTNH_F_ONLINK: Final = 4
RTPROT_KERNEL: Final = 2
RTPROT_BOOT: Final = 3
RTPROT_RA: Final = 9
"""A route from a router's advertisement."""
RT_SCOPE_UNIVERSE: Final = 0
RT_SCOPE_NOWHERE: Final = 255
UNICAST: Final = "1"
DEFAULT_V6_METRIC: Final = 1024
"""IP6_RT_PRIO_USER, linux/ipv6_route.h"""


@dataclass(frozen=True, slots=True)
class Route:
    """One way to a destination."""

    destination: Prefix
    gateway: str = ""
    device: str = ""
    source: str = ""
    """The source address that packets get. With a length (IPv6), a prefix that the
    source of a packet must have."""
    scope: int = RT_SCOPE_UNIVERSE
    """The distance to the destination (man 8 ip-route); always `universe` in IPv6."""
    mtu: int = 0
    """The MTU in bytes; 0 means the MTU of the device."""
    metric: int = 0
    """Lower is preferred."""
    protocol: int = RTPROT_BOOT
    """The origin of the route: the kernel, a router, or a command."""
    onlink: bool = False
    """Whether the gateway is reached directly although no prefix contains it."""

    @property
    def words(self) -> str:
        """The route as the words of a command."""
        words = [str(self.destination)]
        if self.gateway:
            words += ["via", self.gateway]
        if self.device:
            words += ["dev", self.device]
        if self.source:
            words += ["from" if "/" in self.source else "src", self.source]
        if self.destination.version == V4:
            words += ["scope", str(self.scope)]
        if self.mtu:
            words += ["mtu", str(self.mtu)]
        if self.metric:
            words += ["metric", str(self.metric)]
        if self.onlink:
            words.append("onlink")
        return " ".join([*words, "proto", str(self.protocol)])

    def on(self, device: str) -> Route:
        """Return the same route over another device."""
        return replace(self, device=device)


async def read_routes(ip: Ip) -> list[Route]:
    """Return the main table, IPv4 first. Raises `Internal`."""
    routes: list[Route] = []
    for version in (V4, V6):
        shown = await ip.show(f"-{version}", "route", "show", "table", "main")
        # In a thread: thousands of routes would hold up the event loop.
        routes += await blocking(_from_table, shown, version)
    return routes


def _from_table(shown: Iterable[dict[str, Any]], version: int) -> list[Route]:
    return [
        _from_shown(entry, version)
        for entry in shown
        # No request can be for a route with several next hops, or for a blackhole.
        if entry.get("type", UNICAST) == UNICAST and "nexthops" not in entry
    ]


def _from_shown(entry: dict[str, Any], version: int) -> Route:
    metrics = entry.get("metrics") or [{}]
    return Route(
        destination=_to_destination(entry["dst"], version),
        gateway=entry.get("gateway", ""),
        device=entry.get("dev", ""),
        source=entry.get("from", "") or entry.get("prefsrc", ""),
        scope=int(entry.get("scope", 0)) if version == V4 else RT_SCOPE_UNIVERSE,
        mtu=int(metrics[0].get("mtu", 0)),
        metric=int(entry.get("metric", 0)),
        protocol=int(entry.get("protocol", RTPROT_BOOT)),
        onlink="onlink" in entry.get("flags", ()),
    )


def _to_destination(shown: str, version: int) -> Prefix:
    return default_prefix(version) if shown == "default" else parse_prefix(shown)


async def update_routes(
    ip: Ip, messages: Sequence[types_pb2.Route]
) -> agent_pb2.Routes:
    """Add or replace routes; return the whole table after that.

    Raises `InvalidArgument` and `Internal`.
    """
    check_count("routes", messages)
    requested = await blocking(_to_routes, ip, messages)
    before = await read_routes(ip)
    async with undone_on_failure(lambda: _restore(ip, before), ip.reserve):
        await ip.change(await blocking(commands_for, before, requested))
    return await list_routes(ip)


def _to_routes(ip: Ip, messages: Iterable[types_pb2.Route]) -> list[Route]:
    requested = [_to_route(message) for message in messages]
    return [route for route in requested if not _is_left_out(ip, route)]


def _is_left_out(ip: Ip, route: Route) -> bool:
    if route.destination.version == V4 or not ip.lacks_ipv6(route.device):
        return False
    destination = str(route.destination)
    log.warning("IPv6 is off, route left out", extra={"destination": destination})
    return True


async def list_routes(ip: Ip) -> agent_pb2.Routes:
    """Return the main table; the destination of a default route is empty."""
    return await blocking(_to_messages, await read_routes(ip))


def commands_for(before: Sequence[Route], requested: Sequence[Route]) -> list[str]:
    """Return the commands that add the requested routes to the table `before`."""
    commands: list[str] = []
    satisfied: set[Route] = set()
    replaceable: dict[tuple[Prefix, str], list[Route]] = defaultdict(list)
    requests = set(requested)
    for present in before:
        by_this = _satisfied_requests(present)
        if not requests.isdisjoint(by_this):
            satisfied |= by_this
        elif _is_replaceable(present):
            replaceable[_replacement_key(present)].append(present)
    for route in _reachable_first(requested):
        if route in satisfied:
            continue
        for key in ((route.destination, ""), (route.destination, route.device)):
            commands += [f"route del {old.words}" for old in replaceable.pop(key, ())]
        commands.append(f"route append {route.words}")
        satisfied.add(route)
    return commands


def commands_to_restore(routes: Iterable[Route]) -> list[str]:
    """Return the commands that add routes which were lost.

    The kernel adds its own again: with the address, with the link, or with the next
    advertisement.
    """
    its_own = (RTPROT_KERNEL, RTPROT_RA)
    ours = [route for route in routes if route.protocol not in its_own]
    return [f"route append {route.words}" for route in _reachable_first(ours)]


async def _restore(ip: Ip, before: Sequence[Route]) -> None:
    now = await read_routes(ip)
    # New routes of the kernel or of a router are not ours to remove.
    added = [
        route for route in now if route not in before and route.protocol == RTPROT_BOOT
    ]
    lost = [route for route in before if route not in now]
    commands = [f"route del {route.words}" for route in added]
    commands += [f"route append {route.words}" for route in _reachable_first(lost)]
    await ip.restore(commands)


def _reachable_first(routes: Iterable[Route]) -> list[Route]:
    """Sort routes with a gateway behind those through which a gateway is reached."""
    return sorted(routes, key=lambda route: bool(route.gateway))


def _satisfied_requests(present: Route) -> set[Route]:
    """Return every request that `present` already satisfies.

    A request for a route that the kernel made may leave out its source and its scope.
    """
    requests = {replace(present, metric=0, protocol=RTPROT_BOOT)}
    if present.protocol == RTPROT_KERNEL and not present.gateway:
        requests |= {replace(route, source="") for route in requests}
        requests |= {replace(route, scope=RT_SCOPE_UNIVERSE) for route in requests}
    return requests


def _is_replaceable(present: Route) -> bool:
    """Tell whether a requested route to the same destination replaces `present`."""
    if "/" in present.source:
        return False
    ours = present.metric in (0, DEFAULT_V6_METRIC)
    return ours or present.protocol == RTPROT_KERNEL


def _replacement_key(present: Route) -> tuple[Prefix, str]:
    """Return the key under which a new route replaces `present`.

    A new route has two keys: its destination alone, and its destination with its
    device. A route that the kernel made gives way to one over the same device only.
    """
    is_kernels = present.protocol == RTPROT_KERNEL
    return present.destination, present.device if is_kernels else ""


def _to_route(message: types_pb2.Route) -> Route:
    """Check a request. Raises `InvalidArgument`."""
    gateway = parse_address(message.gateway) if message.gateway else None
    source = parse_prefix(message.source) if message.source else None
    if message.dest in ("", "default"):
        version = V6 if message.family == types_pb2.v6 else V4
        known = gateway or source
        destination = default_prefix(known.version if known else version)
    else:
        destination = parse_prefix(message.dest).network
    for other in (gateway, source):
        if other is not None and other.version != destination.version:
            raise InvalidArgument(
                f"route to {message.dest!r}: "
                f"'{other.address}' is not an IPv{destination.version} address"
            )
    if not gateway and not message.device:
        raise InvalidArgument(f"route to {message.dest!r}: no gateway and no device")
    if message.scope > RT_SCOPE_NOWHERE:
        raise InvalidArgument(
            f"route to {message.dest!r}: invalid scope {message.scope}"
        )
    return Route(
        destination=destination,
        gateway=gateway.address if gateway else "",
        device=parse_interface_name(message.device) if message.device else "",
        source=_to_source(message.source, source),
        scope=message.scope if destination.version == V4 else RT_SCOPE_UNIVERSE,
        mtu=message.mtu,
        # The other flags are the state of the host's route: link down, offloaded, ...
        onlink=bool(message.flags & RTNH_F_ONLINK),
    )


def _to_source(text: str, source: Prefix | None) -> str:
    if source is None:
        return ""
    # Only IPv6 selects routes by a prefix of the source; IPv4 sets the source address.
    if "/" in text and source.version == V6 and source.length:
        return str(source.network)
    return source.address


def _to_messages(routes: Iterable[Route]) -> agent_pb2.Routes:
    return agent_pb2.Routes(Routes=[_to_message(route) for route in routes])


def _to_message(route: Route) -> types_pb2.Route:
    return types_pb2.Route(
        dest=str(route.destination) if route.destination.length else "",
        gateway=route.gateway,
        device=route.device,
        source=route.source,
        scope=route.scope,
        family=types_pb2.v4 if route.destination.version == V4 else types_pb2.v6,
        flags=RTNH_F_ONLINK if route.onlink else 0,
        mtu=route.mtu,
    )
