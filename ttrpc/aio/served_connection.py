# SPDX-License-Identifier: Apache-2.0
"""One connection of a server, as the program that serves sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ttrpc.aio.server_session import ServerSession
    from ttrpc.call_context import Peer
    from ttrpc.errors import Closed

CANCEL_TIMEOUT: Final = 1.0
"""Seconds that a shutdown waits for handlers that it has cancelled."""


class ServedConnection:
    """A connection that a server serves, or has refused.

        connection = server.serve_connection(sock)
        print(await connection.wait_closed())

    A connection may be dropped: the server keeps it until it has ended.
    """

    __slots__ = ("_refused", "_session", "peer")

    def __init__(
        self, peer: Peer, session: ServerSession | None, refused: Closed | None = None
    ) -> None:
        self.peer = peer
        """The other end."""
        self._session = session
        """None if the connection was refused."""
        self._refused = refused
        """The cause of that."""

    @property
    def closed(self) -> Closed | None:
        """The cause of the connection's end; None while it is open."""
        if self._session is None:
            return self._refused
        return self._session.transport.closed

    @property
    def calls_in_flight(self) -> int:
        """Number of calls of this connection whose handlers have a task."""
        return 0 if self._session is None else self._session.calls_in_flight

    async def wait_closed(self) -> Closed:
        """Wait until the connection has ended and no handler of it runs.

        Returns the cause of the end.
        """
        if self._session is None:
            assert self._refused is not None
            return self._refused
        cause = await self._session.transport.wait_closed()
        await self._session.wait_closed()
        return cause

    async def shutdown(self, timeout: float | None = None) -> bool:
        """Take no new calls of the peer, finish those in flight, then close.

        Calls that are not answered within `timeout` seconds are cut off. Returns
        whether none was cut off.
        """
        session = self._session
        if session is None:
            return True
        session.drain()
        try:
            async with asyncio.timeout(timeout):
                await session.transport.wait_closed()
        except TimeoutError:
            pass  # The next line cuts off what is left.
        finally:
            session.close("the server shut down")
            await session.wait_closed(CANCEL_TIMEOUT)
        return not session.cut_off

    def close(self) -> None:
        """Close the connection now, and cancel its calls in flight."""
        if self._session is not None:
            self._session.close("closed by the server")
