# SPDX-License-Identifier: Apache-2.0
"""A process of a box, which a program talks to while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Self

from kata_host.client.container_process import ContainerProcess, process_may_have_ended
from kata_host.errors import SandboxError
from kata_host.sdk.guest_connection import GuestConnection
from kata_host.sdk.process_stream import ProcessStream
from kata_host.uncancelled import uncancelled

END_TIMEOUT: Final = 10.0
"""Seconds that a killed process may take to end."""


class Process:
    """A process that runs during the block, and is killed at its end.

        async with box.start(["python3", "-q"], tty=(24, 80)) as process:
            await process.write("6 * 7\\n")

    Every method raises `SandboxError`.
    """

    def __init__(
        self,
        connection: GuestConnection,
        start: Callable[[], Awaitable[ContainerProcess]],
    ) -> None:
        """Use `Box.start` instead."""
        self._connection = connection
        self._start = start
        self._status: int | None = None

    async def __aenter__(self) -> Self:
        async with self._connection.explained():
            process = self._process = await self._start()
        self.stdout = ProcessStream(self._connection, process.read_stdout())
        """Standard output; on a terminal, all output."""
        self.stderr = ProcessStream(self._connection, process.read_stderr())
        """Standard error; on a terminal, nothing can be read there."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await uncancelled(self._end())

    async def read(self) -> bytes:
        """Return standard output that is there, once there is some; b"" at its end."""
        return await self.stdout.read()

    async def read_until(self, mark: bytes | str) -> bytes:
        """Return standard output up to the first `mark`, with it; fewer at its end."""
        return await self.stdout.read_until(_to_bytes(mark))

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield standard output as it comes, until its end."""
        return self.stdout.__aiter__()

    async def write(self, data: bytes | str) -> None:
        """Write to standard input; wait while the process does not read.

        What a process does not read that has ended is dropped.
        """
        async with self._connection.explained():
            with process_may_have_ended():
                await self._process.write_stdin(_to_bytes(data))

    async def close_stdin(self) -> None:
        """End standard input; on a terminal, press its key for that."""
        async with self._connection.explained():
            with process_may_have_ended():
                await self._process.close_stdin()

    async def resize(self, rows: int, columns: int) -> None:
        """Set the size of the process's terminal, in characters."""
        async with self._connection.explained():
            with process_may_have_ended():
                await self._process.resize(rows, columns)

    async def signal(self, number: int) -> None:
        """Send a signal to this process alone, `signal.SIGINT` for example."""
        async with self._connection.explained():
            with process_may_have_ended():
                await self._process.signal(number)

    async def wait(self) -> int:
        """Wait for the end; return the exit status, or 128+n if signal n ended it.

        Output that has not been read is dropped, so no other task reads meanwhile.
        """
        if self._status is None:
            # Together, because a process waits until what it has written is read.
            outputs = [self.stdout]
            if not self._process.terminal:
                outputs.append(self.stderr)
            await asyncio.gather(*map(_drain, outputs))
            async with self._connection.explained():
                self._status = await self._process.wait()
        return self._status

    async def _end(self) -> None:
        try:
            if self._status is None:
                # The block's own error is the one that counts.
                with contextlib.suppress(SandboxError, TimeoutError):
                    async with asyncio.timeout(END_TIMEOUT):
                        await self.signal(signal.SIGKILL)
                        async with self._connection.explained():
                            self._status = await self._process.wait()
        finally:
            await self.stdout.close()
            await self.stderr.close()


async def _drain(stream: ProcessStream) -> None:
    while await stream.read():
        pass


def _to_bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data
