# SPDX-License-Identifier: Apache-2.0
"""A port of this host, and the program of a guest that it leads to."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

from kata_host.quantities import parse_count

LOOPBACK: Final = "127.0.0.1"
"""Other machines do not reach it."""


@dataclass(frozen=True, slots=True)
class PublishedPort:
    """A port of this host. Raises `ValueError` for what cannot be one."""

    target: int | str
    """The port of the program, or the absolute path of its unix socket."""
    port: int = 0
    """Of this host; 0 is a free one."""
    address: str = LOOPBACK

    def __post_init__(self) -> None:
        if isinstance(self.target, int):
            _check_port(self.target, least=1)
        elif not self.target.startswith("/") or set(self.target) & {"\0", "\n"}:
            raise ValueError(f"unix socket {self.target!r}: not an absolute path")
        _check_port(self.port, least=0)
        try:
            socket.inet_pton(self.family, self.address)
        except (OSError, ValueError):
            raise ValueError(f"address {self.address!r}: not an IP address") from None

    @classmethod
    def parse(cls, text: str, *, same: bool = False) -> PublishedPort:
        """Read `[[ADDRESS:]PORT:]TARGET[/tcp]`, where an IPv6 address is in brackets.

        Without PORT a free one is taken, or, if `same`, that of the program. Raises
        `ValueError`.
        """
        if text.startswith("/"):
            return cls(text)
        before, colon, after = text.partition(":/")
        where, target = (before, f"/{after}") if colon else _parted(text)
        if target.startswith("/"):
            program: int | str = target
        else:
            program = _number(target.removesuffix("/tcp"))
        if not where:
            port = program if same and isinstance(program, int) else 0
            return cls(program, port)
        address, port_word = _parted(where)
        is_bracketed = address.startswith("[") and address.endswith("]")
        if is_bracketed != (":" in address):
            raise ValueError(f"address {address!r}: only an IPv6 one is in brackets")
        address = address[1:-1] if is_bracketed else address or LOOPBACK
        return cls(program, _number(port_word), address)

    @property
    def family(self) -> socket.AddressFamily:
        """That of the address of this host."""
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET

    @property
    def request(self) -> str:
        """The program, in the words of the forwarder's protocol."""
        kind = "tcp" if isinstance(self.target, int) else "unix"
        return f"{kind}:{self.target}"


def _parted(text: str) -> tuple[str, str]:
    """Return what is before the last colon, and what is after it."""
    before, _, after = text.rpartition(":")
    return before, after


def _number(word: str) -> int:
    if word == "0":
        return 0
    try:
        return parse_count(word)
    except ValueError:
        raise ValueError(f"port {word!r}: not a number from 1 to 65535") from None


def _check_port(port: int, *, least: int) -> None:
    if not least <= port <= 65535:
        raise ValueError(f"port {port}: not a number from 1 to 65535")
