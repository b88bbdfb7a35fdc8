# SPDX-License-Identifier: Apache-2.0
"""A connection that is being made."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Generic, Protocol, TypeVar


class Closable(Protocol):
    async def close(self) -> None: ...


ClientT = TypeVar("ClientT", bound=Closable)


class Connecting(Generic[ClientT]):
    """A client that is not connected yet.

    `await` returns the client, which the caller closes. `async with` connects at the
    start of its block and closes the client at the end.
    """

    def __init__(self, connect: Coroutine[Any, Any, ClientT]) -> None:
        self._connect = connect

    def __await__(self) -> Generator[Any, Any, ClientT]:
        return self._connect.__await__()

    async def __aenter__(self) -> ClientT:
        self._client = await self._connect
        return self._client

    async def __aexit__(self, *exc_info: object) -> None:
        await self._client.close()
