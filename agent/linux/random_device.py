# SPDX-License-Identifier: Apache-2.0
"""The kernel's random number generator (man 4 random)."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Final

RNDADDENTROPY: Final = 0x40085203
RNDRESEEDCRNG: Final = 0x5207

_RAND_POOL_INFO: Final = struct.Struct("ii")
"""struct rand_pool_info: bits of entropy, length of the data that follows."""


def add_entropy(path: str | os.PathLike[str], data: bytes) -> None:
    """Mix `data` into the pool as full entropy, and reseed the generator at once."""
    device = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        header = _RAND_POOL_INFO.pack(len(data) * 8, len(data))
        fcntl.ioctl(device, RNDADDENTROPY, header + data)
        fcntl.ioctl(device, RNDRESEEDCRNG)
    finally:
        os.close(device)
