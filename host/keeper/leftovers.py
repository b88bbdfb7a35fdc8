# SPDX-License-Identifier: Apache-2.0
"""What programs leave that were killed, and the next command removes.

Directories of guests, with their sockets, the cgroups of local guests, containers and
programs in guests that stay, and what was being made in the image store. Processes of
this host and mounts leave nothing, because the kernel ends them with their holder. Of a
program that lives, nothing is touched: it has locked its directory, its guest's entry
of the registry, or its container's record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from kata_host import scratch
from kata_host.client.stream_port import sweep_links
from kata_host.guest import local_guest
from kata_host.guest.guest import GuestError
from kata_host.guest.guest_entry import GuestEntry, GuestState
from kata_host.guest.held_entry import HeldEntry
from kata_host.guest.registry import directory_of, find_all, runtime_path
from kata_host.interruption import INTERRUPTION
from kata_host.keeper.held_exec import abandoned_in
from kata_host.keeper.record import ContainerState
from kata_host.keeper.records import find_in


def remove_leftovers() -> None:
    """Remove them. A guest's entry stays, to say that its holder was killed.

    An entry that the holder had not written yet says nothing, and does not stay. Blocks
    for 2 s for each guest that stays, has an abandoned container, and does not answer.

    Raises `GuestError`.
    """
    try:
        if runtime_path().is_dir():
            guests = list(find_all())
            _remove_lost([entry for entry, state in guests if state is GuestState.LOST])
            remove_abandoned_in([entry for entry, state in guests if state.is_held])
    finally:
        # After the containers, which may use them.
        scratch.sweep()
        _sweep_images()


def _remove_lost(lost: Sequence[GuestEntry]) -> None:
    for entry in lost:
        # Another command may have locked it since, to use the name again.
        with contextlib.suppress(GuestError), HeldEntry(entry.name) as held:
            if held.is_empty:
                held.remove()
            else:
                held.remove_directory()
    if any(entry.kind != "vm" for entry in lost):
        local_guest.sweep()


def remove_abandoned_in(guests: Sequence[GuestEntry]) -> None:
    """Remove containers, and end programs, of commands that would have done so.

    Blocks, also for 2 s for each guest that has any and does not answer.
    """
    containers = []
    programs = []
    for guest in guests:
        # The guest may end meanwhile.
        with contextlib.suppress(FileNotFoundError):
            scratch.sweep(directory_of(guest.name))
            sweep_links(directory_of(guest.name))
            for record, state in find_in(guest.name):
                if paths := abandoned_in(guest.name, record.id):
                    programs.append((record, paths))
                if state is ContainerState.LOST and record.remove:
                    containers.append(record)
    if not containers and not programs:
        return
    import asyncio

    from kata_host.keeper.sweep import kill_abandoned, remove_abandoned

    with INTERRUPTION.uninterrupted():
        # First the programs, which may clean up.
        for record, paths in programs:
            asyncio.run(kill_abandoned(record, paths))
        for record in containers:
            asyncio.run(remove_abandoned(record))


def _sweep_images() -> None:
    from kata_host.image.store_directory import default_directory

    # A store that cannot be used is no matter of other commands.
    with contextlib.suppress(OSError):
        if scratch.is_any_in(default_directory()):
            from kata_host.image.errors import ImageError
            from kata_host.image.image_store import ImageStore

            with contextlib.suppress(ImageError):
                ImageStore.open()
