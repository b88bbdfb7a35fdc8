# SPDX-License-Identifier: Apache-2.0
"""Says what a command waits for, when that takes long and a person looks on."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Final

PATIENCE: Final = 1.0
"""Seconds of silence."""


@contextlib.contextmanager
def saying(what: str) -> Iterator[None]:
    """Say `what` on standard error if the block takes longer than `PATIENCE`.

    Nothing is said where standard error is no terminal.
    """
    if not os.isatty(2):
        yield
        return
    timer = threading.Timer(PATIENCE, _say, (what,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def note(what: str) -> None:
    """Say something at once, where standard error is a terminal."""
    if os.isatty(2):
        _say(what)


def _say(what: str) -> None:
    # The terminal may be raw already, where a line feed does not return the carriage.
    print(f"kata-agent-ctl: {what}", end="\r\n", file=sys.stderr, flush=True)
