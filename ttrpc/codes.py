# SPDX-License-Identifier: Apache-2.0
"""The outcome of a call as a number: gRPC's status codes."""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """A gRPC status code (google/rpc/code.proto)."""

    OK = 0
    CANCELLED = 1
    """The call was cancelled, or its connection ended before the answer."""
    UNKNOWN = 2
    """An exception of the handler that says no more."""
    INVALID_ARGUMENT = 3
    """The request is wrong, whatever the state of the server."""
    DEADLINE_EXCEEDED = 4
    """The time for the call was over; the server may have done the work."""
    NOT_FOUND = 5
    """The thing that was asked for is not there."""
    ALREADY_EXISTS = 6
    """The thing that was to be made is there."""
    PERMISSION_DENIED = 7
    """The caller is known and may not do this."""
    RESOURCE_EXHAUSTED = 8
    """A limit was reached, of `Limits` for example."""
    FAILED_PRECONDITION = 9
    """The server is not in the state that the call needs."""
    ABORTED = 10
    """Another call was in the way; begin the whole operation again."""
    OUT_OF_RANGE = 11
    """Past the end, of a file for example."""
    UNIMPLEMENTED = 12
    """The server has no handler for the method."""
    INTERNAL = 13
    """The server is broken, or a message cannot be decoded."""
    UNAVAILABLE = 14
    """The server cannot be reached now; the same call may work later."""
    DATA_LOSS = 15
    """Data was lost for good."""
    UNAUTHENTICATED = 16
    """The caller is not known."""


def to_code(number: int) -> Code | int:
    """Return the code of a number that was received.

    A number that gRPC does not define stays an int, because Go passes such numbers on
    unchanged.
    """
    try:
        return Code(number)
    except ValueError:
        return number
