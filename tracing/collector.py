# SPDX-License-Identifier: Apache-2.0
"""The other end of the trace port: takes a batch, answers, may be absent.

One HTTP/1.1 connection is kept and used again. All calls block, within a
deadline; they are for the sender thread.
"""

from __future__ import annotations

import enum
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from kata_tracing import http1
from kata_tracing.encoding.encoding import Encoding

Connect: TypeAlias = Callable[[float], socket.socket]
"""Given a timeout in seconds, return a connected stream socket or raise `OSError`."""

TRY_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
MAX_ANSWER: Final = 64 << 10
MAX_RETRY_AFTER: Final = 30.0


class Outcome(enum.Enum):
    """What the collector said of a batch."""

    TAKEN = enum.auto()
    TRY_AGAIN = enum.auto()
    REFUSED = enum.auto()


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: Outcome
    status: int
    rejected: int = 0
    """Spans of a batch that was taken which were not (OTLP partial success)."""
    retry_after: float | None = None
    """Seconds to wait, bounded; None when the collector does not say."""


class Collector:
    """Whoever listens at the trace port's host side."""

    def __init__(self, connect: Connect, encoding: Encoding) -> None:
        self._connect = connect
        self._encoding = encoding
        self._socket: socket.socket | None = None

    def post(self, body: bytes, timeout: float) -> Answer:
        """Deliver one batch.

        Raises `OSError` (`TimeoutError` among them) or `http1.HttpError` when
        no answer came; the batch may have arrived all the same.
        """
        deadline = time.monotonic() + timeout
        request = http1.request(self._encoding.path, body, self._encoding.content_type)
        if self._socket is not None:
            # Collectors close a connection that was idle for a minute. That is
            # no failure, so a new one is tried at once.
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
        """Break off what another thread is waiting for."""
        connection = self._socket
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # It is gone already, which is what was wanted.

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(
        self, connection: socket.socket, request: bytes, deadline: float
    ) -> Answer:
        connection.settimeout(_left(deadline))
        connection.sendall(request)
        reader = http1.MessageReader(max_body=MAX_ANSWER, response=True)
        message = None
        while message is None:
            connection.settimeout(_left(deadline))
            data = connection.recv(16 << 10)
            if data:
                message = reader.feed(data)
            elif reader.has_begun:
                message = reader.end()
            else:
                raise _ClosedEarly("collector: closed the connection without an answer")
        if not message.keeps_alive or reader.has_begun:
            self.close()
        return self._judge(message)

    def _judge(self, message: http1.Message) -> Answer:
        status = message.status
        if status in self._encoding.taken:
            return Answer(
                Outcome.TAKEN, status, rejected=self._encoding.rejected(message.body)
            )
        if status in TRY_AGAIN:
            after = parse_retry_after(message.headers.get("retry-after", ""))
            return Answer(Outcome.TRY_AGAIN, status, retry_after=after)
        return Answer(Outcome.REFUSED, status)


class _ClosedEarly(OSError):
    """The connection ended before the first byte of an answer."""


def parse_retry_after(value: str) -> float | None:
    """Return the seconds to wait, at most `MAX_RETRY_AFTER`; None without any.

    The other form, a date, would compare the host's clock with the guest's.
    """
    try:
        seconds = float(value)
    except ValueError:
        return None
    if not seconds >= 0:  # Also true of NaN.
        return None
    return min(seconds, MAX_RETRY_AFTER)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("collector: no answer in time")
    return left
