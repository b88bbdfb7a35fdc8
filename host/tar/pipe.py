# SPDX-License-Identifier: Apache-2.0
"""The pipe between a thread that works on an archive and the event loop."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import BinaryIO, Final

PIPE_SIZE: Final = 1 << 20
"""Bytes; what an unprivileged user may set (man 7 pipe)."""


@contextlib.contextmanager
def opened_pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Provide a reader and a writer, without buffers."""
    ends = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    with open(ends[0], "rb", buffering=0) as reader:
        with open(ends[1], "wb", buffering=0) as writer:
            yield reader, writer
