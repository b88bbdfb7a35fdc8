# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from tests.helpers.peer import ECHO
from ttrpc.call_context import CallContext, Peer
from ttrpc.client_call import (
    check_call,
    check_intercepted,
    check_intercepted_stream,
    check_message,
    check_opening,
    check_reconnect,
    missing_response,
    new_context,
    parse_response,
    timed_out,
    timeout_nano,
    unreadable_message,
)
from ttrpc.codes import Code
from ttrpc.deadline import Deadline
from ttrpc.errors import RemoteProtocolError, StatusError
from ttrpc.metadata import Metadata, MetadataLike

PEER = Peer("unix:///a.sock")
NOW = 1000.0


class Clock:
    """A clock that the test sets."""

    now = NOW

    def __call__(self) -> float:
        return self.now


def made(
    timeout: float | None = None,
    *,
    deadline: Deadline | None = None,
    default: float | None = None,
    metadata: MetadataLike | None = None,
    clock: Clock | None = None,
) -> CallContext:
    return new_context(
        ECHO["Echo"],
        PEER,
        clock or Clock(),
        timeout=timeout,
        deadline=deadline,
        default_timeout=default,
        metadata=metadata,
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {"Key": "value"},
        [("Key", "value")],
        iter([("Key", "value")]),
        Metadata({"Key": "value"}),
    ],
)
def test_metadata_may_be_a_mapping_or_pairs(metadata: MetadataLike) -> None:
    context = made(metadata=metadata)
    assert context.metadata.pairs == [("key", "value")]
    assert context.peer is PEER
    assert context.deadline is None


def test_metadata_that_is_handed_on_keeps_all_values() -> None:
    pairs = [("a", "1"), ("a", "2")]
    assert made(metadata=Metadata(pairs)).metadata.pairs == pairs


def test_a_timeout_is_a_deadline_that_counts_from_now() -> None:
    clock = Clock()
    context = made(2, clock=clock)
    assert context.deadline is not None
    assert context.deadline.at == NOW + 2
    clock.now += 0.5
    assert timeout_nano(context) == 1_500_000_000
    assert context.remaining() == 1.5
    assert not list(context.pairs)


def test_without_a_deadline_the_server_is_told_of_none() -> None:
    context = made()
    assert timeout_nano(context) == 0
    assert context.remaining() is None


@pytest.mark.parametrize(
    ("timeout", "at", "seconds"),
    [(None, 5, 5), (3, 5, 3), (7, 5, 5), (math.inf, 5, 5), (3, math.inf, 3)],
)
def test_of_a_timeout_and_a_deadline_the_earlier_counts(
    timeout: float | None, at: float, seconds: float
) -> None:
    context = made(timeout, deadline=Deadline(NOW + at, Clock()), default=1)
    assert context.remaining() == seconds


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(None, 4), (5, 5), (3, 3), (math.inf, None)]
)
def test_a_call_that_names_no_timeout_has_the_default(
    timeout: float | None, seconds: float | None
) -> None:
    assert made(timeout, default=4).remaining() == seconds


def test_no_deadline_and_no_default_is_no_limit() -> None:
    assert made(deadline=Deadline(math.inf, Clock()), default=4).remaining() is None


@pytest.mark.parametrize("now", [NOW + 2, NOW + 3])
def test_a_call_whose_deadline_has_passed_is_not_sent(now: float) -> None:
    clock = Clock()
    context = made(2, clock=clock)
    clock.now = now
    with pytest.raises(StatusError, match="/Echo: deadline exceeded$") as caught:
        timeout_nano(context)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert str(timed_out(context)) == str(caught.value)


def test_a_client_that_streams_opens_without_a_request() -> None:
    check_opening(ECHO["Upload"], None)
    with pytest.raises(ValueError, match="/Upload: takes no request to open"):
        check_opening(ECHO["Upload"], BytesValue())


def test_a_client_that_does_not_stream_opens_with_its_request() -> None:
    check_opening(ECHO["Download"], UInt64Value())
    with pytest.raises(ValueError, match="/Download: takes a request to open"):
        check_opening(ECHO["Download"], None)


def test_a_response_is_of_the_methods_type() -> None:
    payload = BytesValue(value=b"hi").SerializeToString()
    assert parse_response(ECHO["Echo"], payload) == BytesValue(value=b"hi")
    with pytest.raises(RemoteProtocolError, match="/Echo: response is not protobuf: "):
        parse_response(ECHO["Echo"], b"\xff")


def test_errors_of_streams_name_their_method() -> None:
    unreadable = unreadable_message(ECHO["EchoStream"], DecodeError("bad"))
    assert str(unreadable) == "/peer.v1.Echo/EchoStream: message is not protobuf: bad"
    missing = missing_response(ECHO["Upload"])
    assert str(missing) == "/peer.v1.Echo/Upload: ended without a response"


def test_connecting_again_takes_an_address() -> None:
    check_reconnect(None, "")
    check_reconnect(1, "unix://@a")
    with pytest.raises(ValueError, match="^reconnect: needs an address$"):
        check_reconnect(1, "")


def test_a_call_is_unary_and_a_stream_is_not() -> None:
    check_call(ECHO["Echo"], BytesValue())
    with pytest.raises(ValueError, match="EchoStream: streams; use open_stream$"):
        check_call(ECHO["EchoStream"], BytesValue())
    check_opening(ECHO["Download"], UInt64Value())
    with pytest.raises(ValueError, match="Echo: is unary; use call$"):
        check_opening(ECHO["Echo"], BytesValue())


@pytest.mark.parametrize("message", [UInt64Value(), b"text", None])
def test_a_message_is_of_the_methods_type(message: object) -> None:
    check_message(ECHO["Echo"], BytesValue(), BytesValue)
    kind = type(message).__name__
    text = f"^/peer.v1.Echo/Echo: {kind} is not google.protobuf.BytesValue$"
    with pytest.raises(TypeError, match=text):
        check_call(ECHO["Echo"], message)


def test_a_message_class_of_another_pool_will_do() -> None:
    file = descriptor_pb2.FileDescriptorProto()
    BytesValue.DESCRIPTOR.file.CopyToProto(file)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    name = "google.protobuf.BytesValue"
    other = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    check_call(ECHO["Echo"], other())


@pytest.mark.parametrize(("response", "kind"), [(None, "nothing"), ("x", "str")])
def test_interceptors_return_the_response(response: object, kind: str) -> None:
    context = CallContext(ECHO["Echo"])
    check_intercepted(context, BytesValue())
    text = f"^/peer.v1.Echo/Echo: interceptor returned {kind}, not the response$"
    with pytest.raises(TypeError, match=text):
        check_intercepted(context, response)


def test_interceptors_return_the_stream() -> None:
    context = CallContext(ECHO["EchoStream"])
    check_intercepted_stream(context, object())
    with pytest.raises(TypeError, match="interceptor returned nothing, not the stream"):
        check_intercepted_stream(context, None)
