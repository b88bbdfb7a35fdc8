# SPDX-License-Identifier: Apache-2.0
"""Another port of a guest that is named, or whose agent's address is known."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from kata_host.ctl.errors import CommandError

if TYPE_CHECKING:
    from ttrpc.address import HybridVsockAddress, VsockAddress

GUEST_HELP = "a guest's name, hvsock:///PATH:1024 or vsock://CID:1024"


async def dial_port(guest: str, port: int, timeout: float | None) -> socket.socket:
    """Connect to a port of a guest; tries for `timeout` seconds.

    `guest` is a name of `guest list`, or an address whose port is not looked at.
    Raises `CommandError`.
    """
    from ttrpc.aio.dial import dial
    from ttrpc.errors import TtrpcError

    address = replace(_address_of(guest), port=port)
    try:
        return await dial(address, timeout=timeout)
    except (TtrpcError, OSError) as error:
        raise CommandError(str(error)) from error


def _address_of(guest: str) -> HybridVsockAddress | VsockAddress:
    from kata_host.guest.guest import GuestError
    from kata_host.guest.registry import find
    from ttrpc.address import UnixAddress, parse_address

    text = guest
    try:
        if "://" not in guest:
            entry, state = find(guest)
            if not entry.address:
                words = entry.ending or state.value
                raise CommandError(f"guest '{guest}': not running: {words}")
            text = entry.address
        elif guest.count(":") == 1:
            text = f"{guest}:0"  # An address without a port is as good.
        address = parse_address(text)
    except (GuestError, ValueError) as error:
        raise CommandError(str(error)) from error
    if isinstance(address, UnixAddress):
        raise CommandError(f"address {guest!r}: only vsock and hvsock have ports")
    return address
