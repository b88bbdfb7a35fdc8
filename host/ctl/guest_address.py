# SPDX-License-Identifier: Apache-2.0
"""From the name of a guest, or an address, to the address of the guest's agent."""

from __future__ import annotations

from kata_host.ctl.errors import (
    CommandError,
    UsageError,
    guest_errors_as_command_errors,
)

_WITH_PORT = ("hvsock://", "vsock://")


def address_of(guest: str) -> str:
    """Return the address of the agent in a guest.

    `guest` is a name of `guest list`, or an address; one without a port gets the
    agent's. Raises `CommandError` if no guest of that name runs, and `UsageError` if
    the address is not one.
    """
    if "://" not in guest:
        return _find(guest)
    from kata_host.guest.guest import AGENT_PORT
    from ttrpc.address import parse_address

    lacks_port = guest.startswith(_WITH_PORT) and guest.count(":") == 1
    try:
        return str(parse_address(f"{guest}:{AGENT_PORT}" if lacks_port else guest))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _find(name: str) -> str:
    from kata_host.guest.registry import find

    with guest_errors_as_command_errors():
        entry, state = find(name)
    if not entry.address:
        reason = entry.ending or state.value
        raise CommandError(f"guest '{name}': not running: {reason}")
    return entry.address
