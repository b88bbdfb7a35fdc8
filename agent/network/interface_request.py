# SPDX-License-Identifier: Apache-2.0
"""The settings that the host requests for one interface, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kata_agent.errors import InvalidArgument
from kata_agent.network.address import (
    Prefix,
    check_count,
    parse_interface_name,
    parse_mac,
    parse_prefix,
)
from kata_protos import types_pb2

IFF_NOARP: Final = 0x80
"""linux/if.h"""
MTU_LIMIT: Final = 2**31 - 1
"""The kernel's limit; each driver has a lower one of its own."""


@dataclass(frozen=True, slots=True)
class InterfaceRequest:
    """The name, MTU and addresses that an interface shall have."""

    name: str
    """Empty: keep the name."""
    mac: str
    """Empty: the interface is found by its name."""
    mtu: int
    """The MTU in bytes; 0 keeps the present one."""
    has_arp: bool
    addresses: tuple[Prefix, ...]


def parse_interface_request(message: types_pb2.Interface) -> InterfaceRequest:
    """Check a request. Raises `InvalidArgument`."""
    if not message.hwAddr and not message.name:
        raise InvalidArgument("interface: neither a name nor a MAC address")
    name = parse_interface_name(message.name) if message.name else ""
    mac = parse_mac(message.hwAddr) if message.hwAddr else ""
    interface = f"interface '{name or mac}'"
    check_count(f"{interface}: addresses", message.IPAddresses)
    if message.mtu > MTU_LIMIT:
        raise InvalidArgument(f"{interface}: invalid MTU {message.mtu}")
    addresses = []
    for address in message.IPAddresses:
        if "/" in address.address or not address.mask:
            raise InvalidArgument(f"IP address {address.address!r}: no prefix length")
        addresses.append(parse_prefix(f"{address.address}/{address.mask}"))
    return InterfaceRequest(
        name=name,
        mac=mac,
        mtu=message.mtu,
        has_arp=not message.raw_flags & IFF_NOARP,
        addresses=tuple(addresses),
    )
