# SPDX-License-Identifier: Apache-2.0
"""The user of a process, as a program names one."""

from __future__ import annotations

import re
from typing import Final

from kata_protos import oci_pb2

HIGHEST: Final = 2**32 - 2
_NUMBERS: Final = re.compile(r"(\d{1,10})(?::(\d{1,10}))?")

User = int | str | tuple[int, int]
"""A uid, whose gid is the same number; `(uid, gid)`; `"1000:1000"`; or a name of the
container's /etc/passwd, with its groups."""


def to_user(user: User) -> oci_pb2.User:
    """Return the message for `user`. Raises `ValueError`."""
    if isinstance(user, str):
        found = _NUMBERS.fullmatch(user)
        if found is None:
            if not user or ":" in user:
                raise ValueError(f"user {user!r}: neither a name nor UID:GID")
            return oci_pb2.User(Username=user)
        uid = int(found[1])
        gid = uid if found[2] is None else int(found[2])
    else:
        uid, gid = (user, user) if isinstance(user, int) else user
    for number in (uid, gid):
        if not 0 <= number <= HIGHEST:
            raise ValueError(f"user {user!r}: {number} is no id")
    return oci_pb2.User(UID=uid, GID=gid)
