# SPDX-License-Identifier: Apache-2.0
"""The end of the input on a terminal, which is a key and not a state.

The end-of-file key (man 3 termios, VEOF) ends one read. After an unfinished line the
first press delivers the line, and only the second one is an end. A command that a shell
runs takes a press, and the shell needs another one. Therefore the key is pressed again
whenever the processes have consumed all input, for as long as the terminal is open.

The terminal's settings (man 3 termios) say what the key does:

    ICANON      the terminal edits lines: the key ends a read
    OPOST       the process edits lines, as shells do, and gives the key that meaning
                itself on an empty line, so that an unfinished one is entered first;
                another process takes keys for bytes, so there is a limit
    neither     every byte is data: no key is pressed until the settings change

A key that is pressed before the process changes the settings becomes a byte of its
input. Therefore the first press leaves a program that has just begun some time, and a
terminal that edits lines since the last look gets none yet.
"""

from __future__ import annotations

import asyncio
import os
import select
import termios
from typing import Final

from kata_agent.container.readiness import events
from kata_agent.container.terminal_peer import TerminalPeer

SETTLING: Final = 0.2
"""Seconds from the end of the input to the first press."""
FIRST_LOOK: Final = 0.01
"""Seconds from a look at the terminal to the next one; twice as many each time. The
kernel tells no one that input has been consumed."""
LONGEST_LOOK: Final = 1.0
"""Seconds."""
EDITED_LIMIT: Final = 4
"""Presses, at most, while a process edits lines that may be no shell."""
ENTER: Final = b"\r"
_DISABLED: Final = b"\0"
"""The key of a terminal that has none (man 3 termios, _POSIX_VDISABLE)."""


class EndOfFileKey:
    """Presses the key of the terminal whose master is `master`."""

    def __init__(
        self, master: int, peer: TerminalPeer, *, edited_presses: float = EDITED_LIMIT
    ) -> None:
        """Press at most `edited_presses` times while the process edits lines."""
        self._master = master
        self._peer = peer
        self._edited_presses = edited_presses
        self._is_line_open = False
        self._was_canonical = True
        self._interval = FIRST_LOOK
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopped = False

    def start(self, *, after: bytes) -> None:
        """Press the key soon if all input is consumed, and again whenever it is.

        `after` is the last input, from which an unfinished line is known.
        """
        self._is_line_open = bool(after) and after[-1:] not in (b"\r", b"\n")
        if not self._is_stopped:
            self._look_in(SETTLING)

    def _look_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        if events(self._master) & select.POLLHUP:
            # No process holds the terminal, and none ever will.
            return
        try:
            if not self._peer.has_input:
                self._press()
        except BlockingIOError:
            pass
        except (OSError, termios.error):
            return  # The terminal has been hung up just now.
        self._look_in(self._interval)
        self._interval = min(2 * self._interval, LONGEST_LOOK)

    def _press(self) -> None:
        attributes = termios.tcgetattr(self._master)
        output, local, key = attributes[1], attributes[3], attributes[6][termios.VEOF]
        is_canonical = bool(local & termios.ICANON)
        was_canonical, self._was_canonical = self._was_canonical, is_canonical
        if is_canonical:
            if not was_canonical:
                return
            # It is a byte on the line of a process that begins to edit lines now.
            self._is_line_open = True
        elif not output & termios.OPOST or not self._edited_presses:
            return
        elif self._is_line_open:
            self._is_line_open = False
            key = ENTER
        else:
            self._edited_presses -= 1
        if key != _DISABLED:
            os.write(self._master, key)

    def stop(self) -> None:
        """Press no more, because the terminal is about to be closed."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
