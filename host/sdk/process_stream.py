# SPDX-License-Identifier: Apache-2.0
"""An output of a process, read while the process runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from kata_host.sdk.guest_connection import GuestConnection


class ProcessStream:
    """The bytes of one output, in their order.

    A read that is cancelled, by a timeout for example, loses nothing: the next one
    returns the bytes. One task at a time reads; `RuntimeError` tells another one so.
    """

    def __init__(
        self, connection: GuestConnection, chunks: AsyncIterator[bytes]
    ) -> None:
        self._connection = connection
        self._chunks = chunks
        self._pending: asyncio.Task[bytes] | None = None
        self._is_being_read = False
        self._rest = b""

    async def read(self) -> bytes:
        """Return the bytes that are there, as soon as there are some; b"" at the end.

        Raises `SandboxError`.
        """
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        return await self._next()

    async def read_until(self, mark: bytes) -> bytes:
        """Return the bytes up to the first `mark`, with it; fewer at the end.

        All of them are in memory. Raises `SandboxError`.
        """
        found = bytearray()
        searched = 0
        try:
            while (at := found.find(mark, searched)) < 0:
                # Not all again: a process may write without end.
                searched = max(0, len(found) - len(mark) + 1)
                data = await self.read()
                if not data:
                    return bytes(found)
                found += data
        except BaseException:
            self._rest = bytes(found) + self._rest
            raise
        end = at + len(mark)
        self._rest = bytes(found[end:]) + self._rest
        return bytes(found[:end])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data

    async def close(self) -> None:
        """Give up a read that waits."""
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.wait([self._pending])

    async def _next(self) -> bytes:
        if self._pending is None:
            self._pending = asyncio.create_task(self._receive())
        if self._is_being_read:
            raise RuntimeError("output: read by another task, or by wait")
        self._is_being_read = True
        try:
            # The task goes on when the caller is cancelled.
            await asyncio.wait([self._pending])
        finally:
            self._is_being_read = False
        done, self._pending = self._pending, None
        return done.result()

    async def _receive(self) -> bytes:
        async with self._connection.explained():
            return await anext(self._chunks, b"")
