# SPDX-License-Identifier: Apache-2.0
"""What a program leaves to the programs that it starts, and ours must not keep.

That is its umask, its current directory, ignored and blocked signals, and closed
standard streams. A guest is the same whoever starts it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

UMASK: Final = 0o022
PYTHONS: Final = {signal.SIGPIPE, signal.SIGXFSZ}
"""Signals that every Python program ignores, so that a write raises an error."""
_FIXED: Final = {signal.SIGKILL, signal.SIGSTOP}
_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def forget_starter() -> None:
    """Give up what the starter of this process has left, for good."""
    open_standard_streams()
    os.umask(UMASK)
    os.chdir("/")
    reset_signals()


def open_standard_streams() -> None:
    """Open /dev/null for each of the first three descriptors that is closed.

    A file that is opened later would take its number, and be read or written as if it
    was a standard stream.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    for fd, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, closefd=False))


def reset_signals() -> None:
    """Handle no signal that the starter ignored as it did, and block none.

    Those that Python ignores stay ignored; `default_all_signals` is for the last moment
    before another program is executed.
    """
    for number in signal.valid_signals() - PYTHONS - _FIXED:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def default_all_signals() -> None:
    """Handle every signal as the kernel does by default."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - _FIXED:
        signal.signal(number, signal.SIG_DFL)
