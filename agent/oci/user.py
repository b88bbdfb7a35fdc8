# SPDX-License-Identifier: Apache-2.0
"""User and group names, looked up in the container's own files.

`/etc/passwd` and `/etc/group` belong to the image, so that the agent opens them inside
of the container's root directory: a link cannot lead outside of it.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from kata_agent.errors import InvalidArgument
from kata_agent.linux.openat2 import open_in_root
from kata_agent.oci.spec import Spec
from kata_protos import agent_pb2

FILE_LIMIT: Final = 1 << 20
"""Bytes that are read of each file."""
_UID_LIMIT: Final = (1 << 32) - 1


def apply_user(process: Spec, wanted: agent_pb2.StringUser, rootfs: str) -> None:
    """Replace the names of `wanted`, or the `username` of the spec, by numbers.

    The numbers of the spec stay if both are empty. `rootfs` is the path of the
    container's root directory. May block. Raises `InvalidArgument` for a name that the
    image does not have.
    """
    user = process["user"]
    username = user.pop("username", "")
    if not (wanted.uid or wanted.gid or wanted.additionalGids or username):
        return
    accounts = _read_table(rootfs, "etc/passwd")
    groups = _read_table(rootfs, "etc/group")
    name = wanted.uid or username
    if name:
        entry = _find(accounts, name)
        user["uid"] = _number("user", name, entry)
        if entry is not None:
            user["gid"] = int(entry[3])
            user["additionalGids"] = [
                int(group[2])
                for group in groups
                if entry[0] in group[3].split(",") and group[2].isdecimal()
            ]
    if wanted.gid:
        user["gid"] = _number("group", wanted.gid, _find(groups, wanted.gid))
    if wanted.additionalGids:
        user["additionalGids"] = [
            _number("group", group, _find(groups, group))
            for group in wanted.additionalGids
        ]


def _number(kind: str, name: str, entry: list[str] | None) -> int:
    if entry is not None:
        return int(entry[2])
    if name.isdecimal() and int(name) < _UID_LIMIT:
        return int(name)
    raise InvalidArgument(f"{kind} {name!r}: not in the container's image")


def _find(table: list[list[str]], name: str) -> list[str] | None:
    """Return the entry with this name or, for digits, with this number."""
    for entry in table:
        if entry[0] == name:
            return entry
    for entry in table:
        if name.isdecimal() and int(entry[2]) == int(name):
            return entry
    return None


def _read_table(rootfs: str, path: str) -> list[list[str]]:
    """Return the fields of each well-formed line (man 5 passwd, man 5 group)."""
    width = 7 if path.endswith("passwd") else 4
    table = []
    for line in _read(rootfs, path).decode(errors="replace").splitlines():
        fields = line.split(":")
        numbers = fields[2:4] if width == 7 else fields[2:3]
        if len(fields) >= width and all(number.isdecimal() for number in numbers):
            table.append(fields)
    return table


def _read(rootfs: str, path: str) -> bytes:
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # O_NONBLOCK: the image may hold a fifo where a file is expected.
        fd = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InvalidArgument(f"image file '/{path}': not read: {error}") from error
    finally:
        os.close(root)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InvalidArgument(f"image file '/{path}': not a regular file")
        return file.read(FILE_LIMIT)
