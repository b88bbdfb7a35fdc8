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
    queued_per_connection: int = 4 * MESSAGE_LIMIT
    """Responses that the peer has not taken. Over it, reading from the peer stops
    until half of them are gone."""
    queued: int = 64 * MESSAGE_LIMIT
    """The same over all connections: over it, one that is over its own limit, and
    is not held back by that, is closed."""
    stream_inbox: int = MESSAGE_LIMIT
    """Messages of one stream that its reader has not taken. The protocol has no
    flow control, so over it the stream is ended with an error, which leaves the
    connection's other calls alone."""
