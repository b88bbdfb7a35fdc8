# SPDX-License-Identifier: Apache-2.0
"""Addresses and names of interfaces, checked before they become words of a command.

Every function that reads one returns it in the form that iproute2 prints, or raises
`InvalidArgument`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sized
from dataclasses import dataclass
from typing import Final

from kata_agent.errors import InvalidArgument

LIMIT: Final = 4096
"""The most addresses, routes or neighbours in one request."""
V4: Final = 4
V6: Final = 6
BITS: Final = {V4: 32, V6: 128}
_FAMILY: Final = {V4: socket.AF_INET, V6: socket.AF_INET6}
_MAC: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2})+")
_NAME: Final = re.compile(r"[^\s/:%\\\"'#]+")
"""A name without the characters that the kernel refuses (`dev_valid_name`) or replaces
(`%d`), and without those that have a meaning in a batch of `ip`."""
NAME_LIMIT: Final = 15
"""Bytes of a name: IFNAMSIZ without the NUL."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """An address with the length of its network part."""

    version: int
    """4 or 6."""
    address: str
    length: int
    """Bits of the network part."""

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"

    @property
    def network(self) -> Prefix:
        """The prefix with its host bits cleared, as routes need it."""
        packed = socket.inet_pton(_FAMILY[self.version], self.address)
        host_bits = BITS[self.version] - self.length
        number = int.from_bytes(packed, "big") >> host_bits << host_bits
        cleared = number.to_bytes(len(packed), "big")
        address = socket.inet_ntop(_FAMILY[self.version], cleared)
        return Prefix(self.version, address, self.length)


def default_prefix(version: int) -> Prefix:
    """Return the prefix that every address of a family has: 0.0.0.0/0 or ::/0."""
    return Prefix(version, "0.0.0.0" if version == V4 else "::", 0)


def parse_address(text: str) -> Prefix:
    """Read one address, without a length."""
    version = V6 if ":" in text else V4
    try:
        packed = socket.inet_pton(_FAMILY[version], text)
    except (OSError, ValueError):
        raise InvalidArgument(f"invalid IP address {text!r}") from None
    address = socket.inet_ntop(_FAMILY[version], packed)
    return Prefix(version, address, BITS[version])


def parse_prefix(text: str) -> Prefix:
    """Read `ADDRESS/LENGTH`; an address alone is a prefix of full length."""
    address, slash, length = text.partition("/")
    parsed = parse_address(address)
    if not slash:
        return parsed
    if not re.fullmatch(r"[0-9]{1,3}", length) or int(length) > BITS[parsed.version]:
        raise InvalidArgument(f"prefix {text!r}: invalid length")
    return Prefix(parsed.version, parsed.address, int(length))


def parse_mac(text: str) -> str:
    """Read a MAC address, in upper or lower case, of any length."""
    lower = text.lower()
    if not _MAC.fullmatch(lower):
        raise InvalidArgument(f"invalid MAC address {text!r}")
    return lower


def parse_interface_name(text: str) -> str:
    """Read an interface's name."""
    if not is_interface_name(text):
        raise InvalidArgument(f"invalid interface name {text!r}")
    return text


def is_interface_name(text: str) -> bool:
    """Tell whether a name can be a word of a command.

    Not every name can: the kernel allows every byte except blanks, slashes and colons,
    and a container that may configure the network can choose such a name for a link.
    """
    return (
        _NAME.fullmatch(text) is not None
        and text not in (".", "..")
        and text.isprintable()
        and len(text.encode()) <= NAME_LIMIT
    )


def check_count(subject: str, items: Sized) -> None:
    """Raise `InvalidArgument` if a request has more items than a host can need."""
    if len(items) > LIMIT:
        raise InvalidArgument(f"{subject}: {len(items)} are more than {LIMIT}")
