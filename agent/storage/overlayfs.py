# SPDX-License-Identifier: Apache-2.0
"""`overlayfs`: layers of an image under one directory."""

from __future__ import annotations

import zlib
from contextlib import ExitStack
from typing import Final

from kata_agent.errors import InvalidArgument
from kata_agent.linux.beneath import opened
from kata_agent.linux.mount import parse_options
from kata_agent.storage.context import Site
from kata_agent.storage.mount_point import Place, make_place, place_of, remove_tree
from kata_protos.agent_pb2 import Storage

OURS: Final = "io.katacontainers."
WRITABLE: Final = "io.katacontainers.fs-opt.overlay-rw"
"""Option: add a writable layer of the container's own."""
CREATE: Final = "io.katacontainers.volume.overlayfs.create_directory="
"""Driver option: a directory to make first, for a layer."""


async def add(storage: Storage, site: Site) -> None:
    options = [option for option in storage.options if not option.startswith(OURS)]
    for option in storage.driver_options:
        if option.startswith(CREATE):
            place = place_of(site.paths, option.removeprefix(CREATE))
            await site.keep(make_directory, place)
    if WRITABLE in storage.options:
        if site.container_id is None:
            raise InvalidArgument(
                f"storage {storage.mount_point!r}: a writable layer needs a container"
            )
        for layer, directory in (("upperdir", "upper"), ("workdir", "work")):
            # A container may have several, and none goes over another's.
            mark = zlib.crc32(storage.mount_point.encode())
            name = f"{directory}-{mark:08x}"
            path = f"{site.paths.sandbox}/{site.container_id}/{name}"
            await site.keep(make_directory, place_of(site.paths, path))
            options.append(f"{layer}={path}")
    await site.mount(storage, storage.source or "overlay", parse_options(options))


def make_directory(place: Place) -> ExitStack:
    """Make a layer's directory, to be removed with what containers wrote. Blocks."""
    with ExitStack() as undo:
        with opened(make_place(place, undo)):
            undo.callback(remove_tree, place)
        return undo.pop_all()
