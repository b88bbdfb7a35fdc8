# SPDX-License-Identifier: Apache-2.0
"""A child that the kernel kills when the thread that started it ends, in any way."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import Any


def spawn_bound(
    arguments: list[str], *, inside: Sequence[str] = (), **options: Any
) -> subprocess.Popen[bytes]:
    """Start a process that the kernel kills when this thread ends.

    `inside` is a program that executes its arguments, after it has made namespaces. It
    comes first: with a user namespace, the kernel forgets the signal (man 2 prctl).
    """
    # A process that ended before setpriv asked for the signal sends none.
    unless_orphan = ["sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid())]
    return subprocess.Popen(
        [*inside, "setpriv", "--pdeathsig", "KILL", "--", *unless_orphan, *arguments],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        **options,
    )
