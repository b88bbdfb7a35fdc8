# SPDX-License-Identifier: Apache-2.0
"""Growing a mounted ext4 (Documentation/filesystems/ext4, ioctl EXT4_IOC_RESIZE_FS)."""

from __future__ import annotations

import fcntl
import struct
from typing import Final

EXT4_IOC_RESIZE_FS: Final = 0x40086610
"""_IOW('f', 16, __u64)"""


def resize(fd: int, blocks: int) -> None:
    """Grow the file system of `fd` to `blocks` blocks of its own size.

    The present number changes nothing; fewer blocks are EINVAL, because a mounted
    ext4 cannot shrink. Blocks the calling thread.
    """
    fcntl.ioctl(fd, EXT4_IOC_RESIZE_FS, struct.pack("Q", blocks))
