# SPDX-License-Identifier: Apache-2.0
"""Everything that ttrpc raises.

TtrpcError
├── StatusError            a call's outcome, it crosses the wire
├── ProtocolError          never raised itself
│   ├── LocalProtocolError     the caller on this side broke the rules
│   ├── RemoteProtocolError    the peer did
│   └── OversizedMessage       a message over the limit: ends its call only
└── Closed                 nothing more goes through
    ├── ServerClosed           the server takes no more
    ├── StreamClosed           this stream has ended
    └── StreamFull             this stream ended: its reader was too slow
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttrpc.codes import Code, to_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.any_pb2 import Any as AnyMessage

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
"""What a code may be on the wire."""
DISPLAY_LIMIT = 1024
"""Characters of a peer's text that are shown; a message may hold 4 MiB."""


class TtrpcError(Exception):
    """The root of all errors of this package."""


class StatusError(TtrpcError):
    """A call that ended with a status other than OK."""

    def __init__(
        self,
        code: Code | int,
        message: str = "",
        details: Sequence[AnyMessage] = (),
    ) -> None:
        """Raises ValueError when `code` does not fit the wire."""
        if not INT32_MIN <= code <= INT32_MAX:
            raise ValueError(f"status code {code}: not 32 bits")
        super().__init__(code, message)
        self.code = to_code(code)
        """The code; an int where the peer sent a number gRPC does not have."""
        self.message = message
        """The text, exactly as it crossed the wire."""
        self.details = tuple(details)
        """google.protobuf.Any messages."""

    def __str__(self) -> str:
        name = self.code.name if isinstance(self.code, Code) else f"code {self.code}"
        return f"{name}: {sanitize(self.message)}" if self.message else name


class ProtocolError(TtrpcError):
    """Somebody broke the rules of the protocol."""


class LocalProtocolError(ProtocolError):
    """The caller on this side asked for something the protocol forbids."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something the protocol forbids."""

    def __str__(self) -> str:
        return sanitize(super().__str__())


class OversizedMessage(ProtocolError, StatusError):
    """A message longer than the limit; only its own call fails.

    It is a status too, RESOURCE_EXHAUSTED with Go's text, so that callers who
    look at codes alone see what a Go peer would have told them.
    """

    def __init__(self, stream_id: int, length: int, limit: int) -> None:
        StatusError.__init__(
            self,
            Code.RESOURCE_EXHAUSTED,
            f"message length {length} exceed maximum message size of {limit}",
        )
        # What copying and pickling make it from again.
        self.args = (stream_id, length, limit)
        self.stream_id = stream_id
        self.length = length
        self.limit = limit


class Closed(TtrpcError):
    """Nothing more goes through; the message names the cause."""


class ServerClosed(Closed):
    """The server has been shut down or closed."""


class StreamClosed(Closed):
    """The stream has ended, or this side has closed its half."""


class StreamFull(Closed):
    """The stream was ended because its reader let too much pile up."""


def sanitize(text: str) -> str:
    """Make a peer's text fit to show: no control characters, bounded length.

    A guest's message may carry terminal escapes or forged log lines.
    """
    shown = text[:DISPLAY_LIMIT]
    if not shown.isprintable():
        shown = "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown
        )
    return shown + "..." if len(text) > DISPLAY_LIMIT else shown
