# SPDX-License-Identifier: Apache-2.0
"""Mounting a disk, on whatever bus its driver has found its node."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.errors import InvalidArgument, NotFound, Unimplemented
from kata_agent.storage.driver_context import DriverContext
from kata_protos.agent_pb2 import Storage

DRIVER_OPTIONS: Final = frozenset({"create_filesystem", "encryption_key"})
MKFS: Final = ("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-m", "0")
INODES: Final = ("-i", "163840", "-I", "128")
"""For scratch space (man 8 mke2fs): no journal, no reserved blocks, few and small
inodes."""


async def mount_disk(storage: Storage, context: DriverContext, node: Path) -> None:
    """Mount the disk `node`, after making a file system if the host asks for one.

    Options: those of mount(8) and of the file system `fstype`. Driver options:
    `create_filesystem` or `create_filesystem=true` makes an ext4 first, over whatever
    the disk holds; `encryption_key=...` is not supported.

    Raises `InvalidArgument`, `NotFound`, `Unimplemented`, `Internal` or `OSError`.
    """
    await blocking(_check, node)
    options = dict(option.partition("=")[::2] for option in storage.driver_options)
    if "encryption_key" in options:
        raise Unimplemented(
            f"storage {storage.mount_point!r}: encrypted disks are not supported"
        )
    if options.get("create_filesystem") in ("", "true"):
        if storage.fstype != "ext4":
            raise InvalidArgument(
                f"storage {storage.mount_point!r}: "
                f"cannot make a file system {storage.fstype!r}, only 'ext4'"
            )
        await context.run(*MKFS, *INODES, os.fspath(node))
    await context.mount(storage, os.fspath(node))


def _check(node: Path) -> None:
    try:
        mode = os.stat(node).st_mode
    except FileNotFoundError:
        raise NotFound(f"device {node}: no such node") from None
    if not stat.S_ISBLK(mode):
        raise InvalidArgument(f"device {node}: not a block device")
