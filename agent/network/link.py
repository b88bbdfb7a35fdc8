# SPDX-License-Identifier: Apache-2.0
"""Links as they are: what `ip address show` says of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kata_agent.network.address import V4, V6, Prefix
from kata_agent.network.ip import show
from kata_agent.reaper import Reaper
from kata_agent.system_paths import SystemPaths

NO_MAC: Final = "00:00:00:00:00:00"
SCOPE_LINK: Final = "253"
NO_BROADCAST: Final = 31
"""From this length on an IPv4 network has no broadcast address (RFC 3021)."""


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface of the guest."""

    index: int
    name: str
    mac: str
    """Lower case; empty when it has none."""
    mtu: int
    is_up: bool
    has_arp: bool
    is_virtual: bool
    """Made by the guest (a VLAN, a bridge), perhaps with the MAC of another."""
    addresses: tuple[Prefix, ...]
    """Without IPv6 ones that come and go by themselves: link-local, advertised."""
    own_addresses: tuple[Prefix, ...]
    """Those."""


async def read_links(reaper: Reaper) -> list[Link]:
    """Return all links, in the order of their indexes."""
    shown = await show(reaper, "address", "show")
    return sorted((_to_link(thing) for thing in shown), key=lambda link: link.index)


def _to_link(thing: dict[str, Any]) -> Link:
    mac = str(thing.get("address", "")).lower()
    addresses: list[Prefix] = []
    own: list[Prefix] = []
    for info in thing.get("addr_info", ()):
        if "local" not in info:
            continue
        version = V6 if info["family"] == "inet6" else V4
        prefix = Prefix(version, info["local"], int(info["prefixlen"]))
        by_itself = version == V6 and (
            info.get("scope") == SCOPE_LINK or info.get("dynamic", False)
        )
        (own if by_itself else addresses).append(prefix)
    return Link(
        index=int(thing["ifindex"]),
        name=thing["ifname"],
        mac="" if mac == NO_MAC else mac,
        mtu=int(thing["mtu"]),
        is_up="UP" in thing["flags"],
        has_arp="NOARP" not in thing["flags"],
        is_virtual="info_kind" in thing.get("linkinfo", {}),
        addresses=tuple(addresses),
        own_addresses=tuple(own),
    )


def lacks_v6(paths: SystemPaths, name: str) -> bool:
    """Tell whether IPv6 is off, for link `name` or in the whole guest.

    The host cannot know, and asks for both families: what is IPv6 is left out then.
    """
    ipv6 = paths.proc / "sys/net/ipv6"
    try:
        return (ipv6 / "conf" / name / "disable_ipv6").read_text().strip() == "1"
    except FileNotFoundError:
        # A link that is not there is another's error.
        return not ipv6.exists()


def add_address(name: str, prefix: Prefix) -> str:
    """Return the command that gives `prefix` to the link, or finds it there.

    IPv6 addresses are usable at once: nobody else in a guest's network has them.
    """
    command = f"address replace {prefix} dev {name}"
    if prefix.version == V6:
        return f"{command} nodad"
    return command if prefix.length >= NO_BROADCAST else f"{command} broadcast +"
