# SPDX-License-Identifier: Apache-2.0
"""The guest of a command line, by its name or an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kata_host.ctl.errors import UsageError, guest_errors_as_command_errors

if TYPE_CHECKING:
    from kata_host.guest.guest_entry import GuestEntry


def address_of(guest: str) -> str:
    """Return the address of the agent in a guest: see `kata_host.guest.guest_address`.

    Raises `CommandError` if no guest of that name runs, and `UsageError` if the address
    is not one.
    """
    from kata_host.guest.guest_address import find_address

    try:
        with guest_errors_as_command_errors():
            return find_address(guest)
    except ValueError as error:
        raise UsageError(str(error)) from error


def entry_of(guest: str) -> GuestEntry | None:
    """Return the guest of `guest list` that a name or an address is of, if any.

    Raises as `address_of` does.
    """
    from kata_host.guest.guest_address import find_entry

    try:
        with guest_errors_as_command_errors():
            return find_entry(guest)
    except ValueError as error:
        raise UsageError(str(error)) from error


def running_entry(name: str) -> GuestEntry:
    """Return the guest of that name. Raises `CommandError` if none runs."""
    from kata_host.guest.guest_address import find_running

    with guest_errors_as_command_errors():
        return find_running(name)
