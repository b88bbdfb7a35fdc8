# SPDX-License-Identifier: Apache-2.0
"""What all disks have in common once their node is found."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.errors import InvalidArgument, NotFound, Unimplemented
from kata_agent.storage.context import Site
from kata_protos.agent_pb2 import Storage

MKFS: Final = ("mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-m", "0")
INODES: Final = ("-i", "163840", "-I", "128")
"""For scratch space: no journal, nothing reserved, few and small inodes."""


async def mount_disk(storage: Storage, site: Site, node: Path) -> None:
    """Mount the disk `node`, with a new file system on it if the host asks for one."""
    await blocking(_check, node)
    options = dict(option.partition("=")[::2] for option in storage.driver_options)
    if "encryption_key" in options:
        raise Unimplemented(f"storage {storage.mount_point!r}: no encrypted disks here")
    if options.get("create_filesystem") in ("", "true"):
        if storage.fstype != "ext4":
            raise InvalidArgument(
                f"storage {storage.mount_point!r}: cannot make {storage.fstype!r}"
            )
        await site.run(*MKFS, *INODES, os.fspath(node))
    await site.mount(storage, os.fspath(node))


def _check(node: Path) -> None:
    try:
        mode = os.stat(node).st_mode
    except FileNotFoundError:
        raise NotFound(f"device {node}: no such node") from None
    if not stat.S_ISBLK(mode):
        raise InvalidArgument(f"device {node}: not a block device")
