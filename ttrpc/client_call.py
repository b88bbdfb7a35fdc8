# SPDX-License-Identifier: Apache-2.0
"""The parts of a client's call that are the same with asyncio and without.

Times are on the clock of `time.monotonic`, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError, Message

from ttrpc.call_context import CallContext, Peer
from ttrpc.codes import Code
from ttrpc.deadline import Deadline, checked_deadline, checked_timeout
from ttrpc.errors import RemoteProtocolError, StatusError
from ttrpc.metadata import MetadataLike, pairs_of
from ttrpc.raw import Raw
from ttrpc.service import Cardinality, Method


def new_context(
    method: Method[Any, Any],
    peer: Peer,
    clock: Callable[[], float],
    *,
    timeout: float | None,
    deadline: Deadline | None,
    default_timeout: float | None,
    metadata: MetadataLike | None,
) -> CallContext:
    """Return the context of a call that starts now.

    `timeout` and `deadline` are those of the call: the earlier one counts, and
    `default_timeout` where there is neither.

    Raises:
        ValueError: `timeout` is negative or not a number, or `deadline` is none.
        TypeError: `deadline` is not a Deadline.
    """
    if deadline is not None:
        deadline = checked_deadline(deadline)
    elif timeout is None:
        timeout = default_timeout
    timeout = checked_timeout("timeout", timeout)
    if timeout is not None:
        own = Deadline.after(timeout, clock=clock)
        deadline = own if deadline is None else min(own, deadline)
    pairs = () if metadata is None else pairs_of(metadata)
    return CallContext(method, deadline=deadline, peer=peer, metadata=pairs)


def check_reconnect(reconnect: float | None, address: object) -> None:
    """Check the argument `reconnect` of a client.

    Raises:
        ValueError: there is no `address`, or `reconnect` is negative or not a number.
    """
    checked_timeout("reconnect", reconnect)
    if reconnect is not None and not address:
        raise ValueError("reconnect: needs an address")


def check_call(method: Method[Any, Any], request: object) -> None:
    """Check the arguments of `call`.

    Raises:
        ValueError: the method streams.
        TypeError: `request` is not of its request type.
    """
    if method.cardinality is not Cardinality.UNARY_UNARY:
        raise ValueError(f"{method.full_method}: streams; use open_stream")
    if type(request) is not method.request_type:
        check_message(method, request, method.request_type)


def check_opening(method: Method[Any, Any], request: object) -> None:
    """Check the arguments of `open_stream`.

    Raises:
        ValueError: the method is unary; `request` is missing although the client does
            not stream, or is given although it does.
        TypeError: `request` is not of its request type.
    """
    if method.cardinality is Cardinality.UNARY_UNARY:
        raise ValueError(f"{method.full_method}: is unary; use call")
    if (request is None) is not method.cardinality.client_streaming:
        takes = "no request" if request is not None else "a request"
        raise ValueError(f"{method.full_method}: takes {takes} to open")
    if request is not None:
        check_message(method, request, method.request_type)


def check_message(
    method: Method[Any, Any], message: object, expected: type[Message | Raw]
) -> None:
    """Raise TypeError unless `message` is one of the expected type.

    A class of the same name that was made from another descriptor pool will do.
    """
    if isinstance(message, expected):
        return
    name = "ttrpc.Raw"
    if issubclass(expected, Message):
        name = expected.DESCRIPTOR.full_name
    if not isinstance(message, Message) or message.DESCRIPTOR.full_name != name:
        kind = type(message).__name__
        raise TypeError(f"{method.full_method}: {kind} is not {name}")


def check_intercepted(context: CallContext, response: object) -> None:
    """Raise TypeError unless the interceptors returned a response of the method."""
    method = context.method
    if not isinstance(response, method.response_type):
        kind = "nothing" if response is None else type(response).__name__
        raise TypeError(
            f"{method.full_method}: interceptor returned {kind}, not the response"
        )


def check_intercepted_stream(context: CallContext, stream: object) -> None:
    """Raise TypeError if the interceptors did not return the stream."""
    if stream is None:
        raise TypeError(
            f"{context.method.full_method}: interceptor returned nothing, not the "
            "stream"
        )


def timeout_nano(context: CallContext) -> int:
    """Return the time until the deadline in nanoseconds, 0 if the call has none.

    Raises:
        StatusError: DEADLINE_EXCEEDED, the deadline has passed.
    """
    deadline = context.deadline
    if deadline is None:
        return 0
    if deadline.remaining() <= 0:
        raise timed_out(context)
    return deadline.timeout_nano()


def timed_out(context: CallContext) -> StatusError:
    """Return the error of a call whose deadline has passed."""
    return StatusError(
        Code.DEADLINE_EXCEEDED, f"{context.method.full_method}: deadline exceeded"
    )


def parse_response(method: Method[Any, Any], payload: bytes) -> Message | Raw:
    """Return the response of a unary call.

    Raises:
        RemoteProtocolError: `payload` is not a message of the response type.
    """
    try:
        response: Message | Raw = method.response_type.FromString(payload)
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
