# SPDX-License-Identifier: Apache-2.0
"""What one connection and one server let a peer make them hold."""

from __future__ import annotations

from dataclasses import dataclass

from ttrpc.frame import MESSAGE_LIMIT


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on memory. Sizes are in bytes."""

    message: int = MESSAGE_LIMIT
    """One message, either way. Peers have the same limit and cannot be asked."""
    calls_per_connection: int = 20_000
    """Calls in flight; one more is answered RESOURCE_EXHAUSTED."""
    calls: int = 100_000
    """The same over all connections."""
    queued_per_connection: int = 16 * MESSAGE_LIMIT
    """What the peer has not taken. From an eighth of it on, streams wait with what
    they send; from a quarter on, nothing is read from the peer; and the answer to a
    call that was in flight already, for which there is no room, is
    RESOURCE_EXHAUSTED in its place."""
    queued: int = 64 * MESSAGE_LIMIT
    """The same over all connections. None may have more than is still free, so that
    those that do not read leave room for the others."""
    held_per_connection: int = 16 * MESSAGE_LIMIT
    """Requests of calls in flight, and messages of streams that have not been read.
    Over it, a call that brings more than a little is answered RESOURCE_EXHAUSTED, and
    a stream that does is ended as one that is over its own limit."""
    held: int = 64 * MESSAGE_LIMIT
    """The same over all connections, divided as `queued` is."""
    stream_inbox: int = MESSAGE_LIMIT
    """Messages of one stream that its reader has not taken. The protocol has no
    flow control, so over it the stream is ended with an error, which leaves the
    connection's other calls alone."""
