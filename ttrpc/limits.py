# SPDX-License-Identifier: Apache-2.0
"""Bounds on the memory that peers can make a server or a client use."""

from __future__ import annotations

from dataclasses import dataclass

from ttrpc.frame import MESSAGE_LIMIT


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on memory, for one connection and for all together. Sizes are in bytes."""

    message: int = MESSAGE_LIMIT
    """One message, in either direction. Peers have the same limit, and the protocol
    cannot negotiate it."""
    calls_per_connection: int = 20_000
    """Calls in flight; further ones are answered with RESOURCE_EXHAUSTED."""
    calls: int = 100_000
    """The same over all connections. Each may have as many as are still free, and one
    in any case, so that busy peers leave room for the others."""
    connections: int = 4096
    """Connections of a server; further ones are hung up on."""
    queued_per_connection: int = 16 * MESSAGE_LIMIT
    """Bytes to send that the peer has not read. Above an eighth, streams wait before
    they send. Above a quarter, a server stops reading from the peer. An answer for
    which there is no room is replaced by RESOURCE_EXHAUSTED."""
    queued: int = 64 * MESSAGE_LIMIT
    """Bytes to send over all connections. Each connection may have as much as is still
    free, so that peers that do not read leave room for the others. An answer of more
    than 64 KiB, or a stream's message, needs free bytes also if it is the first."""
    held_per_connection: int = 16 * MESSAGE_LIMIT
    """Bytes of the requests of calls in flight, of messages that streams have not read
    and of a large frame that has not arrived whole. Above it, a call with a request
    over 4 KiB is answered with RESOURCE_EXHAUSTED, and so is a large frame; a stream
    that needs more is ended as one that is over `stream_inbox`."""
    held: int = 64 * MESSAGE_LIMIT
    """The same over all connections, divided as `queued` is. Each may have 64 KiB in
    any case (of a small limit, a 256th). Large frames that have been on their way for
    a second give way to others, the largest first."""
    stream_inbox: int = MESSAGE_LIMIT
    """Bytes of messages that one stream's reader has not taken. The protocol has no
    flow control, so a stream above it is ended with an error; other calls go on."""
