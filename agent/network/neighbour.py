# SPDX-License-Identifier: Apache-2.0
"""Neighbours: MAC addresses that are known without ARP or neighbour discovery."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kata_agent.errors import InvalidArgument
from kata_agent.network.address import (
    check_count,
    parse_address,
    parse_interface_name,
    parse_mac,
)
from kata_agent.network.ip import Ip
from kata_agent.network.undo import undone_on_failure
from kata_protos import types_pb2

log = logging.getLogger(__name__)

# linux/neighbour.h
NUD_PERMANENT: Final = 0x80
NUD: Final = {
    "INCOMPLETE": 0x01,
    "REACHABLE": 0x02,
    "STALE": 0x04,
    "DELAY": 0x08,
    "PROBE": 0x10,
    "FAILED": 0x20,
    "NOARP": 0x40,
    "PERMANENT": 0x80,
}
FLAGS: Final = {0x01: "use", 0x08: "proxy", 0x10: "extern_learn", 0x80: "router"}


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One entry of the neighbour table."""

    device: str
    address: str
    mac: str = ""
    state: int = NUD_PERMANENT
    flags: int = 0

    @property
    def words(self) -> str:
        """The entry as the words of a command."""
        names = [name for flag, name in FLAGS.items() if self.flags & flag]
        if "proxy" in names:
            return f"proxy {self.address} dev {self.device}"
        words = [self.address, *(["lladdr", self.mac] if self.mac else [])]
        words += ["dev", self.device, "nud", str(self.state), *names]
        return " ".join(words)


async def add_neighbours(ip: Ip, messages: Sequence[types_pb2.ARPNeighbor]) -> None:
    """Add or replace entries: all of them, or none.

    Raises `InvalidArgument` and `Internal`.
    """
    check_count("neighbours", messages)
    requested = [_to_neighbour(message) for message in messages]
    requested = [entry for entry in requested if not _is_left_out(ip, entry)]
    before = await read_neighbours(ip)
    async with undone_on_failure(lambda: _restore(ip, before, requested), ip.reserve):
        await ip.change([f"neighbour replace {entry.words}" for entry in requested])


def _is_left_out(ip: Ip, entry: Neighbour) -> bool:
    if ":" not in entry.address or not ip.lacks_ipv6(entry.device):
        return False
    log.warning("IPv6 is off, neighbour left out", extra={"address": entry.address})
    return True


async def read_neighbours(ip: Ip) -> list[Neighbour]:
    """Return the table, without proxies. Raises `Internal`."""
    shown = await ip.show("neighbour", "show", "nud", "all")
    return [_from_shown(entry) for entry in shown if "dst" in entry]


async def _restore(
    ip: Ip, before: Iterable[Neighbour], requested: Iterable[Neighbour]
) -> None:
    """Put back the entries that the request has replaced, and remove the others."""
    old = {(entry.device, entry.address): entry for entry in before}
    commands = []
    for entry in requested:
        known = old.get((entry.device, entry.address))
        if known is not None and known.mac:
            commands.append(f"neighbour replace {known.words}")
        else:
            commands.append(f"neighbour del {entry.words}")
    await ip.restore(commands)


def _from_shown(entry: dict[str, Any]) -> Neighbour:
    return Neighbour(
        device=entry["dev"],
        address=entry["dst"],
        mac=entry.get("lladdr", ""),
        state=sum(NUD.get(name, 0) for name in entry.get("state", ())),
        flags=0x80 if "router" in entry else 0,
    )


def _to_neighbour(message: types_pb2.ARPNeighbor) -> Neighbour:
    """Check a request. Raises `InvalidArgument`."""
    address = parse_address(message.toIPAddress.address)
    if message.flags & ~sum(FLAGS):
        raise InvalidArgument(
            f"neighbour {address.address}: unknown flags {message.flags:#x}"
        )
    if not 0 <= message.state <= 0xFF:
        raise InvalidArgument(
            f"neighbour {address.address}: unknown state {message.state:#x}"
        )
    return Neighbour(
        device=parse_interface_name(message.device),
        address=address.address,
        mac=parse_mac(message.lladdr) if message.lladdr else "",
        state=message.state or NUD_PERMANENT,
        flags=message.flags,
    )
