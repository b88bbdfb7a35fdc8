# SPDX-License-Identifier: Apache-2.0
"""A process that has ended and is not reaped."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator


@contextlib.contextmanager
def zombie() -> Iterator[int]:
    """Yield the pid of a zombie, which is reaped at the end of the block."""
    process = subprocess.Popen(["true"])
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid
    finally:
        process.wait()
