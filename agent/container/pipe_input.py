# SPDX-License-Identifier: Apache-2.0
"""The agent's end of a process's stdin on a pipe."""

from __future__ import annotations

import select

from kata_agent.container.descriptor_writer import DescriptorWriter
from kata_agent.container.readiness import events


class PipeInput:
    """A pipe that is closed at the end of the input, after all that was written."""

    def __init__(self, fd: int) -> None:
        """Own `fd`, the write end of the pipe; the pipe grows once it is busy."""
        self._writer = DescriptorWriter(fd, grows=True)
        self._has_ended = False

    async def write(self, data: bytes) -> int:
        if self._has_ended:
            return 0
        await self._writer.write(data)
        return len(data)

    def end(self) -> None:
        self._has_ended = True
        self._writer.when_idle(self._writer.close)

    def process_ended(self) -> None:
        # Another process may hold the other end: a background job, for example.
        if self._writer.fd >= 0 and events(self._writer.fd) & select.POLLERR:
            self._writer.close()

    def close(self) -> None:
        self._has_ended = True
        self._writer.close()
