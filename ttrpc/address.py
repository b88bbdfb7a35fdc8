# SPDX-License-Identifier: Apache-2.0
"""Addresses as text and as values.

unix:///run/a.sock            a unix socket
unix://@name                  a unix socket in the abstract namespace
vsock://3:1024                AF_VSOCK: context id and port; to listen, -1 is any id
hvsock:///run/vm.sock:1024    a VMM's unix socket, and a port of its guest (hvsock.py)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CID_ANY: Final = 0xFFFFFFFF
"""VMADDR_CID_ANY, man 7 vsock."""
PORT_MAX: Final = 0xFFFFFFFF
PATH_MAX: Final = 107
"""Bytes in sockaddr_un, man 7 unix, less the final zero."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix socket (man 7 unix)."""

    path: str
    """An absolute path, or `@name` for `name` in the abstract namespace."""

    @property
    def sockaddr(self) -> str:
        """The argument of `socket.bind` and `socket.connect`."""
        return "\0" + self.path[1:] if self.path.startswith("@") else self.path

    def __str__(self) -> str:
        return f"unix://{self.path}"


@dataclass(frozen=True, slots=True)
class VsockAddress:
    """A vsock port (man 7 vsock)."""

    cid: int
    port: int

    def __str__(self) -> str:
        return f"vsock://{-1 if self.cid == CID_ANY else self.cid}:{self.port}"


@dataclass(frozen=True, slots=True)
class HybridVsockAddress:
    """A port of the guest behind the unix socket of its VMM, for clients only."""

    path: str
    port: int

    def __str__(self) -> str:
        return f"hvsock://{self.path}:{self.port}"


Address = UnixAddress | VsockAddress | HybridVsockAddress
"""A parsed address; `str` of it is the text."""


def parse_address(text: str) -> Address:
    """Parse `unix://PATH`, `unix://@NAME`, `vsock://CID:PORT` or `hvsock://PATH:PORT`.

    A path is absolute and has at most 107 bytes (man 7 unix); `@` begins a name in the
    abstract namespace. The context id -1 is any, to listen on (man 7 vsock). `hvsock`
    is a port of the guest behind the unix socket of its VMM, for clients.

    Raises:
        ValueError: `text` is not an address; the message names it.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError(f"address {text!r}: no scheme (unix, vsock or hvsock)")
    if scheme == "unix":
        return UnixAddress(_parse_path(text, rest))
    if scheme == "vsock":
        cid, _, port = rest.rpartition(":")
        return VsockAddress(_parse_cid(text, cid), _parse_port(text, port))
    if scheme == "hvsock":
        path, _, port = rest.rpartition(":")
        return HybridVsockAddress(_parse_path(text, path), _parse_port(text, port))
    raise ValueError(f"address {text!r}: unknown scheme {scheme!r}")


def _parse_path(text: str, path: str) -> str:
    if not path.startswith(("/", "@")) or len(path) < 2 or "\0" in path:
        raise ValueError(f"address {text!r}: not an absolute path or @name: {path!r}")
    if len(path.encode()) > PATH_MAX:
        raise ValueError(f"address {text!r}: longer than {PATH_MAX} bytes")
    return path


def _parse_cid(text: str, cid: str) -> int:
    if cid == "-1":
        return CID_ANY
    if not (cid.isascii() and cid.isdecimal()) or int(cid) > CID_ANY:
        raise ValueError(f"address {text!r}: bad context id {cid!r}")
    return int(cid)


def _parse_port(text: str, port: str) -> int:
    if not (port.isascii() and port.isdecimal()) or int(port) > PORT_MAX:
        raise ValueError(f"address {text!r}: bad port {port!r}")
    return int(port)
