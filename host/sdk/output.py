# SPDX-License-Identifier: Apache-2.0
"""A command's output, in bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from kata_host.client.container_process import ContainerProcess, process_may_have_ended
from kata_host.client.result import Result

DRAIN_TIMEOUT: Final = 5.0
"""Seconds for what a killed command has written and nobody has read yet."""


class Output:
    """The output of a command: up to `limit` bytes of each stream, all for None.

    What is beyond the limit is read and dropped, so that the command goes on.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._streams = (bytearray(), bytearray())
        self.is_cut = False

    @property
    def stdout(self) -> bytes:
        return bytes(self._streams[0])

    @property
    def stderr(self) -> bytes:
        return bytes(self._streams[1])

    def to_result(self, status: int, *, oom_killed: bool) -> Result:
        """Return the outcome of the command, which has ended."""
        return Result(status, self.stdout, self.stderr, oom_killed, self.is_cut)

    async def follow(self, process: ContainerProcess, input: bytes) -> int:
        """Write the input, read both streams and wait for the end; return the status.

        A process that has closed its outputs may still read its input.
        """
        feeding = asyncio.create_task(_feed(process, input))
        sources = (process.read_stdout(), process.read_stderr())
        reading = [
            asyncio.create_task(self._keep(source, kept))
            for source, kept in zip(sources, self._streams, strict=True)
        ]
        try:
            await asyncio.gather(*reading)
            return await process.wait()
        finally:
            for task in (feeding, *reading):
                task.cancel()
            await asyncio.wait([feeding, *reading])

    async def _keep(self, chunks: AsyncIterator[bytes], kept: bytearray) -> None:
        async for data in chunks:
            room = len(data) if self._limit is None else self._limit - len(kept)
            kept += data[:room]
            self.is_cut = self.is_cut or len(data) > room


async def _feed(process: ContainerProcess, input: bytes) -> None:
    with process_may_have_ended():
        await process.write_stdin(input)
        await process.close_stdin()
