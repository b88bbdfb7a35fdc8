# SPDX-License-Identifier: Apache-2.0
"""Giving up root, once the sockets are bound and the file is open."""

from __future__ import annotations

import importlib
import os
import pwd
from typing import Final

LATE_IMPORTS: Final = ("concurrent.futures.thread", "encodings.idna")
"""Modules that asyncio imports on first use, when `user` may not be able to read
Python's own files."""


def drop_privileges(user: str) -> None:
    """Become `user` for good, with that user's primary group and no other.

    Raises `ValueError` for an unknown user, `PermissionError` unless root.
    """
    for name in LATE_IMPORTS:
        importlib.import_module(name)
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ValueError(f"user {user!r}: not found") from None
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
