# SPDX-License-Identifier: Apache-2.0
"""Flags of a network interface (man 7 netdevice)."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from typing import Final

SIOCGIFFLAGS: Final = 0x8913
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 0x1
IFNAMSIZ: Final = 16

_IFREQ: Final = struct.Struct("16sH22x")
"""struct ifreq: the name, the flags, and padding to the size of its union."""


def raise_interface(name: str) -> None:
    """Set the interface `name` up. Raises `OSError` that names the interface."""
    encoded = os.fsencode(name)
    if len(encoded) >= IFNAMSIZ:
        raise OSError(errno.ENAMETOOLONG, f"interface '{name}': name too long")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            request = fcntl.ioctl(any_socket, SIOCGIFFLAGS, _IFREQ.pack(encoded, 0))
            _, flags = _IFREQ.unpack(request)
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, _IFREQ.pack(encoded, flags | IFF_UP))
        except OSError as error:
            raise OSError(
                error.errno, f"interface '{name}': {error.strerror}"
            ) from None
