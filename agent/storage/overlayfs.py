# SPDX-License-Identifier: Apache-2.0
"""`overlayfs`: layers of an image under one directory."""

from __future__ import annotations

import zlib
from typing import Final

from kata_agent.errors import InvalidArgument
from kata_agent.linux.beneath import opened
from kata_agent.linux.mount_options import parse_options, split_options
from kata_agent.storage.driver_context import DriverContext
from kata_agent.storage.mount_point import (
    MountPoint,
    make_mount_point,
    parse_mount_point,
    remove_tree,
)
from kata_agent.undo import Undo
from kata_protos.agent_pb2 import Storage

OURS: Final = "io.katacontainers."
"""Options that begin so are for the agent, not for the kernel."""
WRITABLE: Final = "io.katacontainers.fs-opt.overlay-rw"
"""Option: add a writable layer of the container's own."""
CREATE: Final = "io.katacontainers.volume.overlayfs.create_directory"
"""Driver option: a directory to make first, for a layer."""


async def add(storage: Storage, context: DriverContext) -> None:
    """Make the directories of the writable layer if there is one, and mount.

    Options: those of mount(8) and of overlayfs (kernel, filesystems/overlayfs.rst), as
    `lowerdir=A:B`; `io.katacontainers.fs-opt.overlay-rw` adds `upperdir` and `workdir`
    in the container's own directory, and makes the type `overlay` whatever the request
    says (layered snapshotters send `fuse3.kata-overlay`). Driver option:
    `io.katacontainers.volume.overlayfs.create_directory=PATH`, any number of times.
    """
    given = split_options(storage.options)
    options = [option for option in given if not option.startswith(OURS)]
    fstype = storage.fstype or "overlay"
    for option in storage.driver_options:
        name, _, path = option.partition("=")
        if name == CREATE:
            layer = parse_mount_point(context.paths, path)
            await context.keep(make_directory, layer)
    if WRITABLE in given:
        fstype = "overlay"
        if context.container_id is None:
            raise InvalidArgument(
                f"storage {storage.mount_point!r}: a writable layer needs a container"
            )
        for key, directory in (("upperdir", "upper"), ("workdir", "work")):
            # A container may have several overlays, each with directories of its own.
            mark = zlib.crc32(storage.mount_point.encode())
            name = f"{directory}-{mark:08x}"
            path = f"{context.paths.sandbox}/{context.container_id}/{name}"
            layer = parse_mount_point(context.paths, path)
            await context.keep(make_directory, layer)
            options.append(f"{key}={path}")
    await context.mount(
        storage, storage.source or "overlay", parse_options(options), fstype=fstype
    )


def make_directory(undo: Undo, layer: MountPoint) -> None:
    """Make a layer's directory; `undo` removes all that was written there. Blocks."""
    with opened(make_mount_point(layer, undo)):
        undo.callback(remove_tree, layer)
