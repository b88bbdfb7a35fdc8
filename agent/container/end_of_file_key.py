# SPDX-License-Identifier: Apache-2.0
"""The end of the input on a terminal, which is a key and not a state.

The end-of-file key (man 3 termios, VEOF) ends one read. After an unfinished line the
first press delivers the line, and only the second one is an end. A command that a shell
runs takes a press, and the shell needs another one. Therefore the key is pressed again
whenever the processes have consumed all input, for as long as the terminal is open.

The terminal's settings (man 3 termios) say what the key does:

    ICANON             the terminal edits lines: the key ends a read
    OPOST, no ECHO     the process edits lines, as shells do, and gives the key that
                       meaning itself; or it takes the key for a byte: there is a limit
    any other          every byte is data: no key is pressed until the settings change
"""

from __future__ import annotations

import asyncio
import os
import select
import termios
from typing import Final

from kata_agent.container.readiness import events
from kata_agent.container.terminal_peer import TerminalPeer

FIRST_LOOK: Final = 0.01
"""Seconds from a look at the terminal to the next one; twice as many each time. The
kernel tells no one that input has been consumed."""
LONGEST_LOOK: Final = 1.0
"""Seconds."""
UNEDITED_LIMIT: Final = 4
"""Presses, at most, while the process edits lines."""
_DISABLED: Final = b"\0"
"""The key of a terminal that has none (man 3 termios, _POSIX_VDISABLE)."""


class EndOfFileKey:
    """Presses the key of the terminal whose master is `master`."""

    def __init__(self, master: int, peer: TerminalPeer) -> None:
        self._master = master
        self._peer = peer
        self._unedited = UNEDITED_LIMIT
        self._interval = FIRST_LOOK
        self._timer: asyncio.TimerHandle | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Press the key now if all input is consumed, and again whenever it is."""
        if not self._is_stopped:
            self._look()

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
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._look)
        self._interval = min(2 * self._interval, LONGEST_LOOK)

    def _press(self) -> None:
        attributes = termios.tcgetattr(self._master)
        output, local, key = attributes[1], attributes[3], attributes[6][termios.VEOF]
        if not local & termios.ICANON:
            is_edited = output & termios.OPOST and not local & termios.ECHO
            if not is_edited or not self._unedited:
                return
            self._unedited -= 1
        if key != _DISABLED:
            os.write(self._master, key)

    def stop(self) -> None:
        """Press no more, because the terminal is about to be closed."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
