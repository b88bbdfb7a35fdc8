# SPDX-License-Identifier: Apache-2.0
"""Mount options as people write them, in the kernel's terms (man 8 mount)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from kata_agent.linux.mount import (
    MS_BIND,
    MS_DIRSYNC,
    MS_I_VERSION,
    MS_LAZYTIME,
    MS_MANDLOCK,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_POSIXACL,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    MS_SHARED,
    MS_SILENT,
    MS_SLAVE,
    MS_STRICTATIME,
    MS_SYNCHRONOUS,
    MS_UNBINDABLE,
)

SET: Final = {
    "acl": MS_POSIXACL,
    "bind": MS_BIND,
    "dirsync": MS_DIRSYNC,
    "iversion": MS_I_VERSION,
    "lazytime": MS_LAZYTIME,
    "mand": MS_MANDLOCK,
    "noatime": MS_NOATIME,
    "nodev": MS_NODEV,
    "nodiratime": MS_NODIRATIME,
    "noexec": MS_NOEXEC,
    "nosuid": MS_NOSUID,
    "rbind": MS_BIND | MS_REC,
    "relatime": MS_RELATIME,
    "remount": MS_REMOUNT,
    "ro": MS_RDONLY,
    "silent": MS_SILENT,
    "strictatime": MS_STRICTATIME,
    "sync": MS_SYNCHRONOUS,
}
CLEAR: Final = {
    "async": MS_SYNCHRONOUS,
    "atime": MS_NOATIME,
    "defaults": MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS,
    "dev": MS_NODEV,
    "diratime": MS_NODIRATIME,
    "exec": MS_NOEXEC,
    "loud": MS_SILENT,
    "noacl": MS_POSIXACL,
    "noiversion": MS_I_VERSION,
    "nolazytime": MS_LAZYTIME,
    "nomand": MS_MANDLOCK,
    "norelatime": MS_RELATIME,
    "nostrictatime": MS_STRICTATIME,
    "rw": MS_RDONLY,
    "suid": MS_NOSUID,
}
PROPAGATION: Final = {
    "private": MS_PRIVATE,
    "rprivate": MS_PRIVATE | MS_REC,
    "rshared": MS_SHARED | MS_REC,
    "rslave": MS_SLAVE | MS_REC,
    "runbindable": MS_UNBINDABLE | MS_REC,
    "shared": MS_SHARED,
    "slave": MS_SLAVE,
    "unbindable": MS_UNBINDABLE,
}


class MountOptions(NamedTuple):
    """Mount options in the kernel's terms."""

    flags: int = 0
    """`MS_*`, but not those of propagation."""
    propagation: int = 0
    """One of `MS_PRIVATE`, `MS_SHARED`, `MS_SLAVE` and `MS_UNBINDABLE`; `MS_REC` too if
    the mounts below follow. 0 leaves the propagation as it is."""
    data: str = ""
    """The options that are the file system's own, separated by commas."""


def split_options(options: Iterable[str]) -> list[str]:
    """Return the single options of strings that hold one or more, as `ro,size=1m`.

    A value that holds a comma itself is two options then, which the comma joins again
    in `MountOptions.data`.
    """
    return [option for text in options for option in text.split(",") if option]


def parse_options(options: Iterable[str]) -> MountOptions:
    """Parse options as mount(8) takes them; a later one overrides an earlier one."""
    flags = propagation = 0
    data = []
    for option in split_options(options):
        if option in SET:
            flags |= SET[option]
        elif option in CLEAR:
            flags &= ~CLEAR[option]
        elif option in PROPAGATION:
            propagation = PROPAGATION[option]
        else:
            data.append(option)
    return MountOptions(flags, propagation, ",".join(data))
