# SPDX-License-Identifier: Apache-2.0
"""The container that a word of the command line names."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kata_host.ctl.errors import CommandError, guest_errors_as_command_errors
from kata_host.ctl.guest_address import running_entry

if TYPE_CHECKING:
    from kata_host.ctl.target import Target
    from kata_host.keeper.record import ContainerRecord, ContainerState


@dataclass(frozen=True, slots=True)
class FoundContainer:
    """A container, and how to reach it."""

    id: str
    target: Target
    record: ContainerRecord | None = None
    """What the host knows of it: None for one that another program started."""
    state: ContainerState | None = None

    @property
    def is_kept(self) -> bool:
        """Whether a keeper has its output, and will know how it ended."""
        return self.record is not None and self.record.detached


def find_container(word: str, options: argparse.Namespace) -> FoundContainer:
    """Find a container by its name, the beginning of its name, or GUEST/CONTAINER.

    With `--guest` or GUEST, an id that the host knows nothing of is taken as it is: the
    agent knows. Raises `CommandError`.
    """
    from kata_host.ctl.target import Target

    guest, slash, name = word.rpartition("/")
    if slash or options.guest is not None:
        where = argparse.Namespace(**{**vars(options), "guest": guest or options.guest})
        target = Target.of(where)
        if target.entry is None:
            return FoundContainer(name, target)
        found = matching(name, target.entry.name)
        if not found:
            return FoundContainer(name, target)
    else:
        found = matching(word, None)
    if len(found) != 1:
        raise CommandError(why_not_one(word, [record for record, _ in found]))
    ((record, state),) = found
    entry = running_entry(record.guest)
    target = Target(entry.address, entry=entry, timeout=options.connect_timeout)
    return FoundContainer(record.id, target, record, state)


def matching(
    name: str, guest: str | None
) -> Sequence[tuple[ContainerRecord, ContainerState]]:
    """Return the containers of that name, or those whose names begin with it."""
    from kata_host.keeper.records import find_all, find_in

    with guest_errors_as_command_errors():
        everything = list(find_all() if guest is None else find_in(guest))
    exact = [found for found in everything if found[0].id == name]
    begun = [found for found in everything if found[0].id.startswith(name)]
    return exact or (begun if name else [])


def why_not_one(word: str, records: Sequence[ContainerRecord]) -> str:
    if not records:
        return f"container '{word}': not found (see kata-agent-ctl ps -a)"
    names = ", ".join(f"{record.guest}/{record.id}" for record in records)
    return f"container '{word}': more than one: {names}"


def container_or_guest(word: str) -> ContainerRecord | None:
    """Return the container that is meant; None if a guest is. Raises `CommandError`."""
    if "://" in word:
        return None
    guest, slash, name = word.rpartition("/")
    found = matching(name, guest if slash else None)
    begun = [record for record, _ in found if record.id != word]
    if not slash and begun and _is_guest(word):
        # The name of a guest goes before the beginning of a container's.
        return None
    if len(found) > 1 or (slash and not found):
        raise CommandError(why_not_one(word, [record for record, _ in found]))
    return found[0][0] if found else None


def _is_guest(name: str) -> bool:
    from kata_host.guest.guest import GuestError
    from kata_host.guest.registry import find

    try:
        find(name)
    except GuestError:
        return False
    return True
