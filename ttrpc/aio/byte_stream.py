# SPDX-License-Identifier: Apache-2.0
"""A connection that is not a socket: the three methods that a program has to give."""

from __future__ import annotations

from typing import Protocol


class ByteStream(Protocol):
    """Bytes to one peer and from it, in order and none lost.

    `Client(stream)` and `server.serve_connection(stream)` take any object with these.
    One task receives and another sends, each one call at a time. An exception of either
    ends the connection, and its text is in the cause. When the connection ends, a
    `receive` that waits is cancelled, a `send` only after a second.
    """

    async def receive(self) -> bytes:
        """Wait for bytes, any number; none of them means that the peer has ended."""

    async def send(self, data: bytes) -> None:
        """Send all of `data`, and return when more may be sent.

        To wait here is the flow control: nothing more is passed in meanwhile.
        """

    def close(self) -> None:
        """End both directions. Called once, when no other call is under way.

        What `send` has taken still goes to the peer.
        """
