# SPDX-License-Identifier: Apache-2.0
"""A stream that a client is about to open."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic

from ttrpc.service import RequestT, ResponseT

if TYPE_CHECKING:
    from ttrpc.aio.client_stream import ClientStream


class OpeningStream(Generic[RequestT, ResponseT]):
    """Opens the stream, as a block or by `await`.

        async with client.open_stream(ECHO_STREAM) as stream:
            ...
        stream = await client.open_stream(ECHO_STREAM)

    The block always ends the stream: leaving it, or cancelling the task in it,
    abandons a stream that has not ended. After `await`, `stream.close()` does that.
    """

    __slots__ = ("_opening", "_stream")

    def __init__(
        self, opening: Coroutine[Any, Any, ClientStream[RequestT, ResponseT]]
    ) -> None:
        self._opening = opening
        self._stream: ClientStream[RequestT, ResponseT] | None = None

    def __await__(self) -> Generator[Any, Any, ClientStream[RequestT, ResponseT]]:
        return self._opening.__await__()

    async def __aenter__(self) -> ClientStream[RequestT, ResponseT]:
        self._stream = await self._opening
        return await self._stream.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._stream is not None
        await self._stream.__aexit__(kind, error, traceback)
