# SPDX-License-Identifier: Apache-2.0
"""The agent's own hold on a terminal that a process has.

A process may close its terminal and open it again: an init that opens /dev/console, for
example. While no process holds a terminal, its master reads and writes EIO, and cannot
tell whether one will ever hold it again. Therefore the agent holds it too, for as long
as the process lives, and EIO on the master means the end.
"""

from __future__ import annotations

import logging
import os
import select

from kata_agent.container.readiness import events
from kata_agent.linux.terminal import open_peer

log = logging.getLogger(__name__)


class TerminalPeer:
    """A descriptor of the terminal of a master."""

    def __init__(self, master: int) -> None:
        """Open the terminal. A failure is logged: then EIO alone means the end."""
        self._fd = -1
        try:
            self._fd = open_peer(master)
        except OSError as error:
            # The terminal's file system has gone, for example.
            log.warning("terminal not held", extra={"error": str(error)})

    @property
    def has_input(self) -> bool:
        """Whether a process would find input, or its end; False if it is not known."""
        if self._fd < 0:
            return False
        # A terminal that was hung up (man 2 vhangup) is readable for ever.
        found = events(self._fd) & (select.POLLIN | select.POLLHUP)
        return found == select.POLLIN

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
