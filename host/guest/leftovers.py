# SPDX-License-Identifier: Apache-2.0
"""What programs leave that were killed, and the next command removes.

Directories of guests, with their sockets, and the cgroups of local guests. Processes
and mounts leave nothing: the kernel ends them with their holder. Of a program that
lives, nothing is touched: it has locked its directory, or its guest's entry of the
registry.
"""

from __future__ import annotations

import contextlib

from kata_host import scratch
from kata_host.guest import local_guest
from kata_host.guest.guest import GuestError
from kata_host.guest.guest_entry import GuestState
from kata_host.guest.held_entry import HeldEntry
from kata_host.guest.registry import find_all, runtime_path


def remove_leftovers() -> None:
    """Remove them. A guest's entry stays, to say that its holder was killed.

    An entry that the holder had not written yet says nothing, and does not stay.

    Raises `GuestError`.
    """
    scratch.sweep()
    if not runtime_path().is_dir():
        return
    lost = [entry for entry, state in find_all() if state is GuestState.LOST]
    for entry in lost:
        # Another command may have locked it since, to use the name again.
        with contextlib.suppress(GuestError), HeldEntry(entry.name) as held:
            if held.is_empty:
                held.remove()
            else:
                held.remove_directory()
    if any(entry.kind != "vm" for entry in lost):
        local_guest.sweep()
