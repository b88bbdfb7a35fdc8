# SPDX-License-Identifier: Apache-2.0
"""The file systems that every Linux system has, and that PID 1 mounts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from kata_agent.linux.mount import MS_NODEV, MS_NOEXEC, MS_NOSUID, mount
from kata_agent.system_paths import SystemPaths


class Filesystem(NamedTuple):
    """One mount. Its source is its type, because none of these has a device."""

    fstype: str
    target: Path
    flags: int
    data: str = ""


def filesystems(paths: SystemPaths) -> tuple[Filesystem, ...]:
    """Return the mounts in order: the targets of later ones are inside earlier ones."""
    closed = MS_NOSUID | MS_NODEV | MS_NOEXEC
    return (
        Filesystem("proc", paths.proc, closed),
        Filesystem("sysfs", paths.sys, closed),
        Filesystem("devtmpfs", paths.dev, MS_NOSUID),
        Filesystem("tmpfs", paths.dev / "shm", MS_NOSUID | MS_NODEV),
        Filesystem(
            "devpts", paths.dev / "pts", MS_NOSUID | MS_NOEXEC, "mode=620,ptmxmode=666"
        ),
        Filesystem("tmpfs", paths.run, MS_NOSUID | MS_NODEV, "mode=755"),
    )


def mount_filesystems(paths: SystemPaths) -> list[str]:
    """Mount those that are not mounted yet; return a warning for each that fails.

    There is no log at this time. There may be no terminal for it either: standard
    descriptors that the kernel left closed are opened on the console here.
    """
    warnings = []
    for filesystem in filesystems(paths):
        try:
            mount_filesystem(filesystem)
        except OSError as error:
            warnings.append(f"mount point '{filesystem.target}': {error.strerror}")
    open_standard_descriptors(paths)
    return warnings


def mount_filesystem(filesystem: Filesystem) -> None:
    """Mount one file system, unless the kernel or an earlier init has done so."""
    filesystem.target.mkdir(mode=0o755, parents=True, exist_ok=True)
    if os.path.ismount(filesystem.target):
        return
    mount(
        filesystem.fstype,
        filesystem.target,
        filesystem.fstype,
        filesystem.flags,
        filesystem.data,
    )


def open_standard_descriptors(paths: SystemPaths) -> None:
    """Open those of 0, 1 and 2 that are closed, on the console or on /dev/null.

    An initramfs without /dev/console starts PID 1 without them. The next file that is
    opened would then become stdout.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            opened = _open_first(paths.dev / "console", paths.dev / "null")
            # An open file gets the lowest free descriptor, which is usually this one.
            if opened != fd:
                os.dup2(opened, fd)
                os.close(opened)
            os.set_inheritable(fd, True)


def _open_first(*files: Path) -> int:
    for file in files[:-1]:
        try:
            return os.open(file, os.O_RDWR | os.O_NOCTTY)
        except OSError:
            continue
    return os.open(files[-1], os.O_RDWR | os.O_NOCTTY)
