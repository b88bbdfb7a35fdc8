# SPDX-License-Identifier: Apache-2.0
"""`local`: a directory on the guest's own disk, as an emptyDir."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack

from kata_agent.errors import InvalidArgument
from kata_agent.linux.beneath import opened, proc_path
from kata_agent.storage.context import Site
from kata_agent.storage.group import own_by_group, split_group
from kata_agent.storage.mount_point import Place, make_place, remove_tree
from kata_protos.agent_pb2 import Storage

DEFAULT_MODE = 0o777


async def add(storage: Storage, site: Site) -> None:
    """Make the directory; options `mode=OCTAL` and `fsgid=GROUP`."""
    options, group = split_group(list(storage.options))
    mode = DEFAULT_MODE
    for option in options:
        key, _, value = option.partition("=")
        if key == "mode":
            if not re.fullmatch(r"[0-7]{1,5}", value):
                raise InvalidArgument(f"option {option!r}: not an octal mode")
            mode = int(value, 8) & 0o7777
    await site.keep(make_directory, site.place_of(storage), mode, group)


def make_directory(place: Place, mode: int, group: int | None) -> ExitStack:
    """Make the directory with exactly `mode`. Blocks."""
    with ExitStack() as undo:
        with opened(make_place(place, undo)) as directory:
            undo.callback(remove_tree, place)
            # The umask has no say in it.
            os.chmod(proc_path(directory), mode)
        if group is not None:
            own_by_group(place, group)
        return undo.pop_all()
