# SPDX-License-Identifier: Apache-2.0
"""From the name of a guest, or an address, to the address of the guest's agent."""

from __future__ import annotations

from kata_host.guest.guest import AGENT_PORT, GuestError
from kata_host.guest.guest_entry import GuestEntry
from kata_host.guest.registry import find, find_all, runtime_path
from ttrpc.address import parse_address

_WITH_PORT = ("hvsock://", "vsock://")


def find_address(guest: str) -> str:
    """Return the address of the agent in a guest.

    `guest` is a name of the registry, or an address; one without a port gets the
    agent's. Raises `GuestError` if no guest of that name runs, and `ValueError` if the
    address is not one.
    """
    if "://" not in guest:
        return find_running(guest).address
    lacks_port = guest.startswith(_WITH_PORT) and guest.count(":") == 1
    return str(parse_address(f"{guest}:{AGENT_PORT}" if lacks_port else guest))


def find_entry(guest: str) -> GuestEntry | None:
    """Return the guest of the registry that a name or an address is of, if any.

    Raises as `find_address` does.
    """
    if "://" not in guest:
        return find_running(guest)
    address = find_address(guest)
    if not runtime_path().is_dir():
        return None
    return next((entry for entry, _ in find_all() if entry.address == address), None)


def find_running(name: str) -> GuestEntry:
    """Return the guest of that name. Raises `GuestError` if none runs."""
    entry, state = find(name)
    if not entry.address:
        reason = entry.ending or state.value
        raise GuestError(f"guest '{name}': not running: {reason}")
    return entry
