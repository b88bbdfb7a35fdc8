# SPDX-License-Identifier: Apache-2.0
"""The guest's links, as `ip address show` shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from kata_agent.network.address import V4, V6, Prefix
from kata_agent.network.ip import Ip

NO_MAC: Final = "00:00:00:00:00:00"
"""Shown for a link without a MAC, such as the loopback."""
SCOPE_LINK: Final = "253"
"""RT_SCOPE_LINK, linux/rtnetlink.h"""
NO_BROADCAST: Final = 31
"""Bits: an IPv4 prefix of this length or more has no broadcast address (RFC 3021)."""


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface of the guest."""

    index: int
    name: str
    mac: str
    """The MAC address in lower case; empty if the link has none."""
    mtu: int
    """The MTU in bytes."""
    is_up: bool
    has_arp: bool
    is_virtual: bool
    """Whether the guest made it (a VLAN, a bridge), perhaps with another link's MAC."""
    addresses: tuple[Prefix, ...]
    """Addresses that a command has set."""
    automatic_addresses: tuple[Prefix, ...]
    """IPv6 addresses that the kernel adds and removes: link-local, advertised."""


async def read_links(ip: Ip) -> list[Link]:
    """Return all links, in the order of their indexes. Raises `Internal`."""
    shown = await ip.show("address", "show")
    return sorted((_to_link(entry) for entry in shown), key=lambda link: link.index)


def _to_link(entry: dict[str, Any]) -> Link:
    mac = str(entry.get("address", "")).lower()
    addresses: list[Prefix] = []
    automatic: list[Prefix] = []
    for info in entry.get("addr_info", ()):
        if "local" not in info:
            continue
        version = V6 if info["family"] == "inet6" else V4
        prefix = Prefix(version, info["local"], int(info["prefixlen"]))
        is_automatic = version == V6 and (
            info.get("scope") == SCOPE_LINK or info.get("dynamic", False)
        )
        (automatic if is_automatic else addresses).append(prefix)
    return Link(
        index=int(entry["ifindex"]),
        name=entry["ifname"],
        mac="" if mac == NO_MAC else mac,
        mtu=int(entry["mtu"]),
        is_up="UP" in entry["flags"],
        has_arp="NOARP" not in entry["flags"],
        is_virtual="info_kind" in entry.get("linkinfo", {}),
        addresses=tuple(addresses),
        automatic_addresses=tuple(automatic),
    )


def add_address(name: str, prefix: Prefix) -> str:
    """Return the command that adds an address to a link, if the link lacks it.

    An IPv6 address is usable at once, without duplicate address detection (`nodad`),
    because the host has chosen it for this guest.
    """
    command = f"address replace {prefix} dev {name}"
    if prefix.version == V6:
        return f"{command} nodad"
    return command if prefix.length >= NO_BROADCAST else f"{command} broadcast +"
