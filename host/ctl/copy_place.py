# SPDX-License-Identifier: Apache-2.0
"""One side of `cp`: a path of the host, a path in a guest or container, or a stream."""

from __future__ import annotations

import argparse
import posixpath
from dataclasses import dataclass
from pathlib import Path

from kata_host.ctl.command_parser import is_text
from kata_host.ctl.errors import UsageError
from kata_host.ctl.found_container import (
    FoundContainer,
    container_or_guest,
    find_container,
)
from kata_host.ctl.target import Target

STREAM = "-"


@dataclass(frozen=True, slots=True)
class GuestPlace:
    """An absolute path in a container, or in the guest itself."""

    path: str
    target: Target
    container: FoundContainer | None
    """None for the guest's own files."""

    @property
    def directory(self) -> str:
        return posixpath.dirname(self.path) or "/"

    @property
    def name(self) -> str:
        """The last part of the path; `.` for the root."""
        return posixpath.basename(self.path) or "."

    def named(self, name: str) -> GuestPlace:
        """Return the place of a file in this directory."""
        path = posixpath.join(self.path, name)
        return GuestPlace(path, self.target, self.container)


def parse_place(word: str, options: argparse.Namespace) -> GuestPlace | Path | None:
    """Read `GUEST:PATH`, `CONTAINER:PATH`, `GUEST/CONTAINER:PATH`, a path, or `-`.

    None stands for our own standard stream. A path of the host that holds a colon
    begins with `/` or `./`. Raises `CommandError`.
    """
    if word == STREAM:
        return None
    where, colon, path = word.partition(":")
    if "://" in word:
        where, colon, path = word.rpartition(":")
    if not colon or word.startswith(("/", "./", "../")):
        if not word:
            raise UsageError("cp: an empty path")
        return Path(word)
    if not where or not path or not is_text(word):
        raise UsageError(f"cp: {word!r}: not a path, GUEST:PATH or CONTAINER:PATH")
    path = posixpath.normpath(posixpath.join("/", path))
    if (container := _container(where, options)) is not None:
        return GuestPlace(path, container.target, container)
    target = Target.of(argparse.Namespace(**{**vars(options), "guest": where}))
    return GuestPlace(path, target, None)


def _container(where: str, options: argparse.Namespace) -> FoundContainer | None:
    """Return the container that is meant; None if a guest is."""
    if "/" in where and "://" not in where:
        return find_container(where, options)
    record = container_or_guest(where)
    if record is None:
        return None
    return find_container(f"{record.guest}/{record.id}", options)
