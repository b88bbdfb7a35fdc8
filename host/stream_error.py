# SPDX-License-Identifier: Apache-2.0
"""Errors of a program's own standard streams, apart from those of connections."""

from __future__ import annotations

import signal
from typing import Final

NAMES: Final = ("standard input", "standard output", "standard error")
"""By descriptor."""

READER_GONE: Final = 128 + signal.SIGPIPE
"""The exit status of a program whose output nobody reads any more."""


class StreamError(Exception):
    """A standard stream cannot be read or written; the message says which, and why."""

    def __init__(self, fd: int, error: OSError) -> None:
        name = NAMES[fd] if fd < len(NAMES) else f"descriptor {fd}"
        super().__init__(f"{name}: {error.strerror}")


class ReaderGone(StreamError):
    """Nobody reads a standard stream of ours any more."""


def write_error(fd: int, error: OSError) -> StreamError:
    """Return the error of a failed write."""
    kind = ReaderGone if isinstance(error, BrokenPipeError) else StreamError
    return kind(fd, error)
