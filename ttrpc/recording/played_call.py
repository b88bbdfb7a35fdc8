# SPDX-License-Identifier: Apache-2.0
"""One call of a replay, from its request to its answer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from google.protobuf.message import Message

from ttrpc.aio.client import Client
from ttrpc.aio.client_stream import ClientStream
from ttrpc.errors import TtrpcError
from ttrpc.recording.api import Api
from ttrpc.recording.entry import Entry
from ttrpc.service import Cardinality, Method


class PlayedCall:
    """A unary call in a task of its own, or a stream."""

    def __init__(
        self,
        entry: Entry,
        client: Client,
        method: Method[Any, Any],
        request: Message,
        *,
        api: Api | None,
    ) -> None:
        self.entry = entry
        self.method = method
        self.api = api
        self._client = client
        self._request = request
        self.task: asyncio.Task[Message] | None = None
        """A unary call."""
        self._stream: ClientStream[Any, Any] | None = None
        self._ended: TtrpcError | None = None
        """The error with which the opening of a stream failed."""

    async def begin(self) -> None:
        """Send the request."""
        if self.method.cardinality is Cardinality.UNARY_UNARY:
            self.task = asyncio.create_task(
                self._client.call(
                    self.method,
                    self._request,
                    timeout=self.entry.timeout,
                    metadata=self.entry.metadata,
                )
            )
            # The request leaves before the next one of the recording.
            await asyncio.sleep(0)
            return
        request = None if self.method.cardinality.client_streaming else self._request
        try:
            self._stream = await self._client.open_stream(
                self.method,
                request,
                timeout=self.entry.timeout,
                metadata=self.entry.metadata,
            )
        except TtrpcError as exc:
            self._ended = exc

    async def settle(self, seconds: float) -> None:
        """Wait until a unary call is answered, for so long at most."""
        if self.task is not None:
            await asyncio.wait([self.task], timeout=seconds)

    async def send(self, message: Message) -> None:
        """Send a message of a stream. Raises `TtrpcError`."""
        await self._opened().send(message)

    async def close_send(self) -> None:
        """End this side of a stream. Raises `TtrpcError`."""
        await self._opened().close_send()

    async def receive(self, patience: float) -> Message | None:
        """Return a message of a stream; None at its end.

        Raises:
            TtrpcError: the stream ended with this error.
            TimeoutError: none came within `patience` seconds.
        """
        async with asyncio.timeout(patience):
            received: Message | None = await self._opened().recv()
            return received

    async def answer(self, patience: float) -> Message:
        """Return the answer of a call whose server does not stream.

        Raises:
            TtrpcError: the call ended with this error.
            TimeoutError: no answer came within `patience` seconds.
        """
        async with asyncio.timeout(patience):
            if self.task is not None:
                return await self.task
            response: Message = await self._opened().response()
            return response

    async def cancel(self) -> None:
        """Abandon the call if it is not answered."""
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, TtrpcError):
                await self.task
        if self._stream is not None:
            with contextlib.suppress(TtrpcError):
                await self._stream.__aexit__(None, None, None)

    def _opened(self) -> ClientStream[Any, Any]:
        if self._ended is not None:
            raise self._ended
        assert self._stream is not None
        return self._stream
