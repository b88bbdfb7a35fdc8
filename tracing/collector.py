# SPDX-License-Identifier: Apache-2.0
"""The connection to the collector, which may be late, absent, busy or hung.

One HTTP/1.1 connection is kept and used again. All calls block, within a deadline;
they are for the sender thread.
"""

from __future__ import annotations

import enum
import math
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from kata_tracing.encoding.encoding import Encoding
from kata_tracing.http1.message import HttpMessage, format_request
from kata_tracing.http1.message_reader import MessageReader

Connect: TypeAlias = Callable[[float], socket.socket]
"""Given a timeout in seconds, return a connected stream socket or raise `OSError`."""

TRY_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
MAX_RESPONSE: Final = 64 << 10
"""Bytes of a response's body."""
MAX_RETRY_AFTER: Final = 30.0
"""Seconds of a Retry-After that are kept to; a longer one is cut."""


class Outcome(enum.Enum):
    """The collector's decision on a batch."""

    TAKEN = enum.auto()
    TRY_AGAIN = enum.auto()
    REFUSED = enum.auto()


@dataclass(frozen=True, slots=True)
class CollectorResponse:
    """The response to one batch."""

    outcome: Outcome
    status: int
    """The HTTP status."""
    rejected: int = 0
    """How many spans of a batch that was taken are refused (OTLP partial success)."""
    retry_after: float | None = None
    """Seconds to wait, bounded; None if the collector does not say."""


class Collector:
    """The program that listens at the host's end of the trace port."""

    def __init__(self, connect: Connect, encoding: Encoding) -> None:
        self._connect = connect
        self._encoding = encoding
        self._socket: socket.socket | None = None

    def post(self, body: bytes, timeout: float) -> CollectorResponse:
        """Deliver one batch, within `timeout` seconds.

        Raises `OSError` (`TimeoutError` among them) or `HttpError` if no response
        came; the batch may have arrived all the same.
        """
        deadline = time.monotonic() + timeout
        request = format_request(self._encoding.path, body, self._encoding.content_type)
        if self._socket is not None:
            # Collectors close a connection that was idle for a minute. Such an end is
            # no failure, so a new connection is tried at once.
            try:
                return self._exchange(self._socket, request, deadline)
            except (ConnectionError, _ClosedEarly):
                self.close()
            except BaseException:
                self.close()
                raise
        self._socket = self._connect(_left(deadline))
        try:
            return self._exchange(self._socket, request, deadline)
        except BaseException:
            self.close()
            raise

    def abort(self) -> None:
        """Break off the `post` of another thread."""
        connection = self._socket
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # The connection has ended already.

    def close(self) -> None:
        """Close the connection; the next `post` opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(
        self, connection: socket.socket, request: bytes, deadline: float
    ) -> CollectorResponse:
        connection.settimeout(_left(deadline))
        connection.sendall(request)
        reader = MessageReader(max_body=MAX_RESPONSE, response=True)
        message = None
        while message is None:
            connection.settimeout(_left(deadline))
            data = connection.recv(16 << 10)
            if data:
                message = reader.feed(data)
            elif reader.has_begun:
                message = reader.end()
            else:
                raise _ClosedEarly("collector: connection closed without a response")
        if not message.keeps_alive or reader.has_begun:
            self.close()
        return self._interpret(message)

    def _interpret(self, message: HttpMessage) -> CollectorResponse:
        status = message.status
        if status in self._encoding.taken:
            return CollectorResponse(
                Outcome.TAKEN, status, rejected=self._encoding.rejected(message.body)
            )
        if status in TRY_AGAIN:
            headers = message.headers
            after = parse_retry_after(
                headers.get("retry-after", ""), headers.get("date", "")
            )
            return CollectorResponse(Outcome.TRY_AGAIN, status, retry_after=after)
        return CollectorResponse(Outcome.REFUSED, status)


class _ClosedEarly(OSError):
    """The connection ended before the first byte of a response."""


def parse_retry_after(value: str, date: str = "") -> float | None:
    """Return the seconds of a Retry-After, at most `MAX_RETRY_AFTER`.

    A number of seconds, or a date, which counts from `date`, the Date of the same
    response: no clock of the guest is compared with the collector's (RFC 9110, 10.2.3).
    None for any other value, and for a date without a Date.
    """
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_between(date, value)
    if not seconds >= 0:  # Also true of NaN.
        return None
    return min(seconds, MAX_RETRY_AFTER)


def _seconds_between(first: str, last: str) -> float:
    """Return the seconds from one HTTP date to another, NaN if one is none.

    A date that is past counts as now.
    """
    # Imported here, because most guests never need it.
    from email.utils import mktime_tz, parsedate_tz

    start, end = map(parsedate_tz, (first, last))
    if start is None or end is None:
        return math.nan
    try:
        return max(0, mktime_tz(end) - mktime_tz(start))
    except (OverflowError, ValueError):
        return math.nan  # Such as the 99th of a month.


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("collector: no response in time")
    return left
