# SPDX-License-Identifier: Apache-2.0
"""The agent's end of a process's stdin on a terminal."""

from __future__ import annotations

import contextlib
import os
import termios

from kata_agent.container.descriptor_writer import DescriptorWriter
from kata_agent.linux.terminal import set_window_size


class TerminalInput:
    """A terminal's input, which stays open at the end of the input.

    Closing the master would hang up the terminal. If the terminal edits lines, the
    end-of-file character stands for the end, as on a keyboard.
    """

    def __init__(self, master: int) -> None:
        """Own `master`, a descriptor of the terminal's master."""
        self._writer = DescriptorWriter(master)
        self._has_ended = False

    def resize(self, rows: int, columns: int) -> None:
        """Set the window size, in characters; the kernel sends SIGWINCH."""
        set_window_size(self._writer.fd, rows & 0xFFFF, columns & 0xFFFF)

    async def write(self, data: bytes) -> int:
        if self._has_ended:
            return 0
        await self._writer.write(data)
        return len(data)

    def end(self) -> None:
        master = self._writer.fd
        if self._has_ended or master < 0:
            return
        self._has_ended = True
        with contextlib.suppress(BlockingIOError, termios.error):
            attributes = termios.tcgetattr(master)
            if attributes[3] & termios.ICANON:
                os.write(master, attributes[6][termios.VEOF])

    def close(self) -> None:
        self._has_ended = True
        self._writer.close()
