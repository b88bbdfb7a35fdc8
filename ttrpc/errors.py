# SPDX-License-Identifier: Apache-2.0
"""The errors that ttrpc raises.

TtrpcError
├── StatusError            the outcome of a call, sent by the server
├── ProtocolError          never raised itself
│   ├── LocalProtocolError     the caller on this side broke the rules
│   ├── RemoteProtocolError    the peer broke the rules
│   └── OversizedMessage       a message over the limit: ends its call only
└── Closed                 the connection has ended
    ├── ServerClosed           the server takes no more connections
    ├── StreamClosed           this stream has ended
    └── StreamFull             this stream was ended: its reader was too slow
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from ttrpc.codes import Code, to_code

if TYPE_CHECKING:
    from collections.abc import Iterable

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
"""The range of a status code: an int32 in ttrpc/envelope.proto."""
DISPLAY_LIMIT = 1024
"""Characters of a peer's text that are shown; a message may hold 4 MiB."""

EXITS = (KeyboardInterrupt, SystemExit)
"""Errors that end the program, wherever they were raised; all others end a call."""

MessageT = TypeVar("MessageT", bound=Message)


class TtrpcError(Exception):
    """The base class of all errors of this package."""


class StatusError(TtrpcError):
    """A call that ended with a status other than OK."""

    def __init__(
        self,
        code: Code | int,
        message: object = "",
        details: Iterable[Message] = (),
    ) -> None:
        """Make a status.

        Args:
            code: Peers that follow gRPC know 0 to 16; see `Code`.
            message: Text; another object is taken as its `str`.
            details: Messages. Those that are no google.protobuf.Any are packed in one.

        Raises:
            ValueError: `code` does not fit 32 bits.
            TypeError: `code` is no integer, or one of `details` is no message.
        """
        number = operator.index(code)
        if not INT32_MIN <= number <= INT32_MAX:
            raise ValueError(f"status code {number}: not 32 bits")
        text = str(message)
        super().__init__(code, text)
        self.code = to_code(number)
        """The code; an int if the peer sent a number that gRPC does not define."""
        self.message = text
        """The text as it was received, with control characters."""
        self.details = tuple(map(_packed, details)) if details else ()
        """google.protobuf.Any messages; `detail` unpacks one."""

    def detail(self, message_type: type[MessageT]) -> MessageT | None:
        """Return the first detail of a type, or None if there is none.

        Raises:
            google.protobuf.message.DecodeError: the peer's detail is not of its type.
        """
        name = message_type.DESCRIPTOR.full_name
        for packed in self.details:
            if packed.TypeName() == name:
                return message_type.FromString(packed.value)
        return None

    def __str__(self) -> str:
        name = self.code.name if isinstance(self.code, Code) else f"code {self.code}"
        return f"{name}: {sanitize(self.message)}" if self.message else name


class ProtocolError(TtrpcError):
    """One of the two sides broke the rules of the protocol."""


class LocalProtocolError(ProtocolError):
    """The caller on this side asked for something that the protocol forbids."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that the protocol forbids."""

    def __str__(self) -> str:
        return sanitize(super().__str__())


class OversizedMessage(ProtocolError, StatusError):
    """A message longer than the limit; only its own call fails.

    The error is a status too, RESOURCE_EXHAUSTED with Go's text, so that code which
    checks status codes alone handles it as it handles the answer of a Go peer.
    """

    def __init__(self, stream_id: int, length: int, limit: int) -> None:
        StatusError.__init__(
            self,
            Code.RESOURCE_EXHAUSTED,
            f"message length {length} exceed maximum message size of {limit}",
        )
        # Copying and pickling call the class with these again.
        self.args = (stream_id, length, limit)
        self.stream_id = stream_id
        """The id of the call on its connection."""
        self.length = length
        """Bytes of the message."""
        self.limit = limit
        """Bytes that a message may have."""


class Closed(TtrpcError, ConnectionError):
    """The connection has ended; the message names the cause."""

    code = Code.UNAVAILABLE
    """As a server would answer that cannot be reached."""


class ServerClosed(Closed):
    """The server has been shut down or closed."""


class StreamClosed(Closed):
    """The stream has ended, or this side has closed its half."""


class StreamFull(Closed):
    """The stream was ended because its reader left too many bytes unread."""


def sanitize(text: str) -> str:
    """Escape the control characters of a peer's text, and bound its length.

    A guest's message may contain terminal escapes or forged log lines.
    """
    shown = text[:DISPLAY_LIMIT]
    if not shown.isprintable():
        shown = "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown
        )
    return shown + "..." if len(text) > DISPLAY_LIMIT else shown


def _packed(detail: Message) -> AnyMessage:
    if isinstance(detail, AnyMessage):
        return detail
    if not isinstance(detail, Message):
        kind = type(detail).__name__
        raise TypeError(f"status details: {kind} is not a protobuf message")
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
