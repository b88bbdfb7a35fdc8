# SPDX-License-Identifier: Apache-2.0
"""The agent's end of a process's stdin on a terminal."""

from __future__ import annotations

from kata_agent.container.descriptor_writer import DescriptorWriter
from kata_agent.container.end_of_file_key import EndOfFileKey
from kata_agent.container.terminal_peer import TerminalPeer
from kata_agent.linux.terminal import set_window_size


class TerminalInput:
    """A terminal's input, which stays open at the end of the input.

    Closing the master would hang up the terminal, so the end-of-file key stands for the
    end (`end_of_file_key.py`).
    """

    def __init__(self, master: int, peer: TerminalPeer) -> None:
        """Own `master`, a descriptor of the terminal's master."""
        self._writer = DescriptorWriter(master)
        self._key = EndOfFileKey(master, peer)
        self._last = b""
        self._has_ended = False

    def resize(self, rows: int, columns: int) -> None:
        """Set the window size, in characters; the kernel sends SIGWINCH."""
        set_window_size(self._writer.fd, rows & 0xFFFF, columns & 0xFFFF)

    async def write(self, data: bytes) -> int:
        if self._has_ended:
            return 0
        self._last = data[-1:]
        await self._writer.write(data)
        return len(data)

    def end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._writer.when_idle(lambda: self._key.start(after=self._last))

    def process_ended(self) -> None:
        """Keep the descriptor, which a client may still resize the terminal by."""

    def close(self) -> None:
        self._has_ended = True
        self._key.stop()
        self._writer.close()
