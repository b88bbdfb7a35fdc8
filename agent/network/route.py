# SPDX-License-Identifier: Apache-2.0
"""Routes of the main table.

The host says which routes there are to be; others stay. A route takes the place
of one to the same destination that was there before, but never of another of
the same request, nor of the one the kernel itself made for another interface
in the same subnet. When one cannot be added, the table is put back.
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
    default,
    parse_address,
    parse_interface_name,
    parse_prefix,
)
from kata_agent.network.ip import change, put_back, restoring, show
from kata_agent.network.link import lacks_v6
from kata_agent.reaper import Reaper
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2, types_pb2

log = logging.getLogger(__name__)

# linux/rtnetlink.h
RTNH_F_ONLINK: Final = 4
RTPROT_KERNEL: Final = 2
RTPROT_BOOT: Final = 3
RTPROT_RA: Final = 9
"""From a router's advertisement."""
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
    """The address that packets get as theirs, or, with a length, must come from."""
    scope: int = RT_SCOPE_UNIVERSE
    """How far away the destination is; always the universe in IPv6."""
    mtu: int = 0
    metric: int = 0
    protocol: int = RTPROT_BOOT
    """Who made it."""
    onlink: bool = False
    """The gateway is a neighbour even though no prefix says so."""

    @property
    def words(self) -> str:
        """The route as a command has it."""
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
        return replace(self, device=device)


async def read_routes(reaper: Reaper) -> list[Route]:
    """Return the main table, IPv4 first."""
    routes: list[Route] = []
    for version in (V4, V6):
        family = f"-{version}"
        shown = await show(reaper, family, "route", "show", "table", "main")
        # There may be thousands, and others are not to wait for them.
        routes += await blocking(_from_table, shown, version)
    return routes


def _from_table(shown: Iterable[dict[str, Any]], version: int) -> list[Route]:
    return [
        _from_shown(thing, version)
        for thing in shown
        # Several next hops, a blackhole: nothing that a host asks for.
        if thing.get("type", UNICAST) == UNICAST and "nexthops" not in thing
    ]


def _from_shown(thing: dict[str, Any], version: int) -> Route:
    shown = thing["dst"]
    metrics = thing.get("metrics") or [{}]
    return Route(
        destination=default(version) if shown == "default" else parse_prefix(shown),
        gateway=thing.get("gateway", ""),
        device=thing.get("dev", ""),
        source=thing.get("from", "") or thing.get("prefsrc", ""),
        scope=int(thing.get("scope", 0)) if version == V4 else RT_SCOPE_UNIVERSE,
        mtu=int(metrics[0].get("mtu", 0)),
        metric=int(thing.get("metric", 0)),
        protocol=int(thing.get("protocol", RTPROT_BOOT)),
        onlink="onlink" in thing.get("flags", ()),
    )


async def update_routes(
    reaper: Reaper, paths: SystemPaths, messages: Sequence[types_pb2.Route]
) -> agent_pb2.Routes:
    """Add or replace routes; return the whole table as it is then."""
    check_count("routes", messages)
    wanted = await blocking(_to_routes, paths, messages)
    before = await read_routes(reaper)
    async with restoring(lambda: _restore(reaper, before)):
        await change(reaper, await blocking(commands_for, before, wanted))
    return await list_routes(reaper)


def _to_routes(paths: SystemPaths, messages: Iterable[types_pb2.Route]) -> list[Route]:
    wanted = [_to_route(message) for message in messages]
    return [route for route in wanted if not _is_left_out(paths, route)]


def _is_left_out(paths: SystemPaths, route: Route) -> bool:
    if route.destination.version == V4 or not lacks_v6(paths, route.device):
        return False
    log.warning("route to %s: IPv6 is off, left out", route.destination)
    return True


async def list_routes(reaper: Reaper) -> agent_pb2.Routes:
    """Return the main table; a default route's destination is empty."""
    return await blocking(_to_messages, await read_routes(reaper))


def commands_for(before: Sequence[Route], wanted: Sequence[Route]) -> list[str]:
    """Return the commands that bring `wanted` into the table `before`."""
    commands: list[str] = []
    there: set[Route] = set()
    replaceable: dict[tuple[Prefix, str], list[Route]] = defaultdict(list)
    asked = set(wanted)
    for present in before:
        names = _names(present)
        if not asked.isdisjoint(names):
            there |= names
        elif _is_replaceable(present):
            replaceable[_rank(present)].append(present)
    for route in _reachable_first(wanted):
        if route in there:
            continue
        for rank in ((route.destination, ""), (route.destination, route.device)):
            commands += [f"route del {old.words}" for old in replaceable.pop(rank, ())]
        commands.append(f"route append {route.words}")
        there.add(route)
    return commands


def commands_to_restore(routes: Iterable[Route]) -> list[str]:
    """Return the commands that add routes which were there once.

    The kernel makes its own again, with the address or the link or the next
    advertisement.
    """
    its_own = (RTPROT_KERNEL, RTPROT_RA)
    ours = [route for route in routes if route.protocol not in its_own]
    return [f"route append {route.words}" for route in _reachable_first(ours)]


async def _restore(reaper: Reaper, before: Sequence[Route]) -> None:
    now = await read_routes(reaper)
    # Others may have come meanwhile: the kernel's own, a router's.
    added = [
        route for route in now if route not in before and route.protocol == RTPROT_BOOT
    ]
    lost = [route for route in before if route not in now]
    commands = [f"route del {route.words}" for route in added]
    commands += [f"route append {route.words}" for route in _reachable_first(lost)]
    await put_back(reaper, commands)


def _reachable_first(routes: Iterable[Route]) -> list[Route]:
    """Put routes with a gateway behind those that the gateway is reached by."""
    return sorted(routes, key=lambda route: bool(route.gateway))


def _names(present: Route) -> set[Route]:
    """Return the requests that `present` does all of.

    Of a route that the kernel made, a request may leave out source and scope.
    """
    plain = replace(present, metric=0, protocol=RTPROT_BOOT)
    names = {plain}
    if present.protocol == RTPROT_KERNEL and not present.gateway:
        names |= {replace(route, source="") for route in names}
        names |= {replace(route, scope=RT_SCOPE_UNIVERSE) for route in names}
    return names


def _is_replaceable(present: Route) -> bool:
    """Tell whether a wanted route to the same destination takes its place."""
    if "/" in present.source:
        return False
    ours = present.metric in (0, DEFAULT_V6_METRIC)
    return ours or present.protocol == RTPROT_KERNEL


def _rank(present: Route) -> tuple[Prefix, str]:
    """Return whom `present` makes way for: a route to its destination, and of one
    that the kernel made, over the same device."""
    is_kernels = present.protocol == RTPROT_KERNEL
    return present.destination, present.device if is_kernels else ""


def _to_route(message: types_pb2.Route) -> Route:
    """Check a request. Raises `InvalidArgument`."""
    gateway = parse_address(message.gateway) if message.gateway else None
    source = parse_prefix(message.source) if message.source else None
    if message.dest in ("", "default"):
        version = V6 if message.family == types_pb2.v6 else V4
        known = gateway or source
        destination = default(known.version if known else version)
    else:
        destination = parse_prefix(message.dest).network
    for other in (gateway, source):
        if other is not None and other.version != destination.version:
            raise InvalidArgument(
                f"route to {message.dest!r}: {other.address} is of the other family"
            )
    if not gateway and not message.device:
        raise InvalidArgument(f"route to {message.dest!r}: no gateway and no device")
    if message.scope > RT_SCOPE_NOWHERE:
        raise InvalidArgument(f"route to {message.dest!r}: no scope {message.scope}")
    return Route(
        destination=destination,
        gateway=gateway.address if gateway else "",
        device=parse_interface_name(message.device) if message.device else "",
        source=_to_source(message.source, source),
        scope=message.scope if destination.version == V4 else RT_SCOPE_UNIVERSE,
        mtu=message.mtu,
        # The others are how the host's route is doing: link down, offloaded ...
        onlink=bool(message.flags & RTNH_F_ONLINK),
    )


def _to_source(text: str, source: Prefix | None) -> str:
    if source is None:
        return ""
    # IPv6 alone routes by the source's prefix; of IPv4 only the address counts.
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
