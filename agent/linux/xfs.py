# SPDX-License-Identifier: Apache-2.0
"""Growing a mounted XFS (man 2 ioctl_xfs_fsgeometry, man 2 ioctl_xfs_fsgrowfs)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Final

XFS_IOC_FSGEOMETRY: Final = 0x8100587E
"""_IOR('X', 126, struct xfs_fsop_geom)"""
XFS_IOC_FSGROWFSDATA: Final = 0x4010586E
"""_IOW('X', 110, struct xfs_growfs_data)"""
_GEOMETRY: Final = struct.Struct("8IQ216x")
"""Its eighth number is the greatest share of inodes in percent, its ninth the size
in blocks."""
_GROWTH: Final = struct.Struct("QI4x")
"""New size in blocks, share of inodes."""


def resize(fd: int, blocks: int) -> None:
    """Grow the file system of `fd` to `blocks` blocks of its own size.

    No change for the number it has; EINVAL for fewer, although newer kernels shrink
    a little: nobody who grows a volume means that. Blocks.
    """
    geometry = fcntl.ioctl(fd, XFS_IOC_FSGEOMETRY, bytes(_GEOMETRY.size))
    *_, inodes, present = _GEOMETRY.unpack(geometry)
    if blocks < present:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    fcntl.ioctl(fd, XFS_IOC_FSGROWFSDATA, _GROWTH.pack(blocks, inodes))
