# SPDX-License-Identifier: Apache-2.0
"""The outcome of a call as a number: gRPC's status codes."""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """A gRPC status code (google/rpc/code.proto)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


def to_code(number: int) -> Code | int:
    """Return the code of a number that was received.

    A number that gRPC does not define stays an int, because Go passes such numbers on
    unchanged.
    """
    try:
        return Code(number)
    except ValueError:
        return number
