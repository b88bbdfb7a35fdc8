# SPDX-License-Identifier: Apache-2.0
"""The parts of a client's call that are the same with asyncio and without.

Times are on the clock of `time.monotonic`, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import DecodeError, Message

from ttrpc.call_context import CallContext, Peer
from ttrpc.codes import Code
from ttrpc.deadline import Deadline, checked_timeout
from ttrpc.errors import RemoteProtocolError, StatusError
from ttrpc.metadata import MetadataLike
from ttrpc.service import Method


def new_context(
    method: Method[Any, Any],
    peer: Peer,
    timeout: float | None,
    metadata: MetadataLike | None,
    clock: Callable[[], float],
) -> CallContext:
    """Return the context of a call that starts now.

    Raises:
        ValueError: `timeout` is negative or not a number.
    """
    timeout = checked_timeout("timeout", timeout)
    deadline = None if timeout is None else Deadline.after(timeout, now=clock())
    if metadata is None:
        metadata = ()
    elif isinstance(metadata, Mapping):
        metadata = metadata.items()
    return CallContext(method, deadline=deadline, peer=peer, metadata=metadata)


def check_reconnect(reconnect: float | None, address: object) -> None:
    """Check the argument `reconnect` of a client.

    Raises:
        ValueError: there is no `address`, or `reconnect` is negative or not a number.
    """
    checked_timeout("reconnect", reconnect)
    if reconnect is not None and not address:
        raise ValueError("reconnect: needs an address")


def check_opening(method: Method[Any, Any], request: Message | None) -> None:
    """Check the argument `request` of `open_stream`.

    Raises:
        ValueError: `request` is missing although the client does not stream, or is
            given although it does.
    """
    if (request is None) is not method.cardinality.client_streaming:
        takes = "no request" if request is not None else "a request"
        raise ValueError(f"{method.full_method}: takes {takes} to open")


def timeout_nano(context: CallContext, now: float) -> int:
    """Return the time until the deadline in nanoseconds, 0 if the call has none.

    Raises:
        StatusError: DEADLINE_EXCEEDED, the deadline has passed.
    """
    deadline = context.deadline
    if deadline is None:
        return 0
    if deadline.remaining(now) <= 0:
        raise timed_out(context)
    return deadline.timeout_nano(now)


def timed_out(context: CallContext) -> StatusError:
    """Return the error of a call whose deadline has passed."""
    return StatusError(
        Code.DEADLINE_EXCEEDED, f"{context.method.full_method}: deadline exceeded"
    )


def parse_response(method: Method[Any, Any], payload: bytes) -> Message:
    """Return the response of a unary call.

    Raises:
        RemoteProtocolError: `payload` is not a message of the response type.
    """
    try:
        response: Message = method.response_type.FromString(payload)
    except DecodeError as exc:
        raise RemoteProtocolError(
            f"{method.full_method}: response is not protobuf: {exc}"
        ) from None
    return response


def unreadable_message(method: Method[Any, Any], exc: DecodeError) -> Exception:
    """Return the error of a stream's message that is not of the response type."""
    return RemoteProtocolError(f"{method.full_method}: message is not protobuf: {exc}")


def missing_response(method: Method[Any, Any]) -> Exception:
    """Return the error of a client-streaming call that ended without a response."""
    return RemoteProtocolError(f"{method.full_method}: ended without a response")
