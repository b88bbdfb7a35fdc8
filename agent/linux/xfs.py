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
"""struct xfs_fsop_geom: the eighth number is the greatest share of inodes in percent,
the ninth the size in blocks."""
_GROWTH: Final = struct.Struct("QI4x")
"""struct xfs_growfs_data: new size in blocks, share of inodes in percent."""


def resize(fd: int, blocks: int) -> None:
    """Grow the file system of `fd` to `blocks` blocks of its own size.

    The present number changes nothing; fewer blocks are EINVAL here, although newer
    kernels can shrink a little. Blocks the calling thread.
    """
    geometry = fcntl.ioctl(fd, XFS_IOC_FSGEOMETRY, bytes(_GEOMETRY.size))
    *_, inodes, present = _GEOMETRY.unpack(geometry)
    if blocks < present:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    fcntl.ioctl(fd, XFS_IOC_FSGROWFSDATA, _GROWTH.pack(blocks, inodes))
