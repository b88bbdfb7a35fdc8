# SPDX-License-Identifier: Apache-2.0
"""What a server or a client has done so far, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ttrpc.codes import Code


@dataclass(frozen=True, slots=True)
class Counters:
    """Sums over all connections of a server since its start."""

    connections: int
    """Connections that were served."""
    connections_refused: int
    """Connections that were closed at once: over the limit, or not authorized."""
    calls: int
    """Calls that were received. Those that have not ended are in no other field."""
    calls_ended: Mapping[Code | int, int]
    """Calls that have ended, by the code of their status; `Code.OK` too. A call that
    the end of its connection left without an answer is CANCELLED."""
    calls_refused: int
    """Calls among these that reached no handler: of an unknown method, over a limit,
    not protobuf, after their deadline, or during a shutdown."""
    frames_refused: int
    """Frames that broke the protocol and belong to no call."""
    bytes_received: int
    """Bytes that were read from sockets, of headers and refused frames too."""
    bytes_sent: int
    """Bytes that were written to sockets."""


@dataclass(frozen=True, slots=True)
class ClientCounters:
    """Sums over all connections of a client since its start."""

    connections: int
    """Connections that were made, the first one included."""
    connections_failed: int
    """Times that nobody could be reached when the client connected again."""
    calls: int
    """Calls and streams that were begun: an interceptor that calls again begins one
    more. Those that have not ended are in no other field."""
    calls_ended: Mapping[Code | int, int]
    """Calls and streams that have ended, by the code of their status; `Code.OK` too.
    The end of the connection is UNAVAILABLE, a call that was given up CANCELLED, an
    answer that breaks the protocol INTERNAL."""
    bytes_received: int
    """Bytes that were read from sockets, of headers and refused frames too."""
    bytes_sent: int
    """Bytes that were written to sockets."""
