# SPDX-License-Identifier: Apache-2.0
"""Neighbours: link-layer addresses that are known without asking (ARP, NDP)."""

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
from kata_agent.network.ip import change, put_back, restoring, show
from kata_agent.network.link import lacks_v6
from kata_agent.reaper import Reaper
from kata_agent.system_paths import SystemPaths
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
        """The entry as a command has it."""
        names = [name for flag, name in FLAGS.items() if self.flags & flag]
        if "proxy" in names:
            return f"proxy {self.address} dev {self.device}"
        words = [self.address, *(["lladdr", self.mac] if self.mac else [])]
        words += ["dev", self.device, "nud", str(self.state), *names]
        return " ".join(words)


async def add_neighbours(
    reaper: Reaper, paths: SystemPaths, messages: Sequence[types_pb2.ARPNeighbor]
) -> None:
    """Add or replace entries: all of them, or none."""
    check_count("neighbours", messages)
    wanted = [_to_neighbour(message) for message in messages]
    wanted = [entry for entry in wanted if not _is_left_out(paths, entry)]
    before = await read_neighbours(reaper)
    async with restoring(lambda: _restore(reaper, before, wanted)):
        await change(reaper, [f"neighbour replace {entry.words}" for entry in wanted])


def _is_left_out(paths: SystemPaths, entry: Neighbour) -> bool:
    if ":" not in entry.address or not lacks_v6(paths, entry.device):
        return False
    log.warning("neighbour %s: IPv6 is off, left out", entry.address)
    return True


async def read_neighbours(reaper: Reaper) -> list[Neighbour]:
    """Return the table, without proxies."""
    shown = await show(reaper, "neighbour", "show", "nud", "all")
    return [_from_shown(thing) for thing in shown if "dst" in thing]


async def _restore(
    reaper: Reaper, before: Iterable[Neighbour], wanted: Iterable[Neighbour]
) -> None:
    old = {(entry.device, entry.address): entry for entry in before}
    commands = []
    for entry in wanted:
        known = old.get((entry.device, entry.address))
        if known is not None and known.mac:
            commands.append(f"neighbour replace {known.words}")
        else:
            commands.append(f"neighbour del {entry.words}")
    await put_back(reaper, commands)


def _from_shown(thing: dict[str, Any]) -> Neighbour:
    return Neighbour(
        device=thing["dev"],
        address=thing["dst"],
        mac=thing.get("lladdr", ""),
        state=sum(NUD.get(name, 0) for name in thing.get("state", ())),
        flags=0x80 if "router" in thing else 0,
    )


def _to_neighbour(message: types_pb2.ARPNeighbor) -> Neighbour:
    """Check a request. Raises `InvalidArgument`."""
    address = parse_address(message.toIPAddress.address)
    if message.flags & ~sum(FLAGS):
        raise InvalidArgument(
            f"neighbour {address.address}: flags {message.flags:#x} not known"
        )
    if not 0 <= message.state <= 0xFF:
        raise InvalidArgument(
            f"neighbour {address.address}: state {message.state:#x} not known"
        )
    return Neighbour(
        device=parse_interface_name(message.device),
        address=address.address,
        mac=parse_mac(message.lladdr) if message.lladdr else "",
        state=message.state or NUD_PERMANENT,
        flags=message.flags,
    )
