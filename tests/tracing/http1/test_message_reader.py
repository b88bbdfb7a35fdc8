# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_tracing.http1.message import HttpError, format_request
from kata_tracing.http1.message_reader import MessageReader


def reader(*, response: bool = True, max_body: int = 1000) -> MessageReader:
    return MessageReader(max_body=max_body, response=response)


RESPONSES = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc": b"abc",
    b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: 1\r\n\r\n": b"abc",
    b"HTTP/1.1 204 No Content\r\n\r\n": b"",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx": b"x",
}


@pytest.mark.parametrize("data", RESPONSES)
def test_a_response_may_come_in_any_pieces(data: bytes) -> None:
    for size in range(1, len(data) + 1):
        it = reader()
        found = [
            message
            for at in range(0, len(data), size)
            if (message := it.feed(data[at : at + size])) is not None
        ]
        assert [message.body for message in found] == [RESPONSES[data]]
        assert not it.has_begun


def test_one_piece_may_hold_several_messages() -> None:
    one = format_request("/", b"1", "text/plain")
    two = format_request("/", b"2", "text/plain")
    it = reader(response=False)
    bodies = [it.feed(one + two), it.feed(b""), it.feed(b"")]
    assert [message and message.body for message in bodies] == [b"1", b"2", None]


def test_a_response_may_end_with_the_connection() -> None:
    it = reader()
    assert it.feed(b"HTTP/1.1 200 OK\r\n\r\nabc") is None
    message = it.end()
    assert message.body == b"abc"
    assert not message.keeps_alive


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", b"HTTP/1.1 2"]
)
def test_a_message_that_is_cut_off_is_refused(data: bytes) -> None:
    it = reader()
    assert it.feed(data) is None
    with pytest.raises(HttpError):
        it.end()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nspace : 1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000, 431),
        (b"\x00" * 20_000, 431),
    ],
)
def test_a_request_over_the_bounds_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(HttpError) as caught:
        reader(response=False).feed(data)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 3000,
    ],
)
def test_a_response_over_the_bounds_is_refused(data: bytes) -> None:
    with pytest.raises(HttpError):
        reader().feed(data)


@given(st.lists(st.binary(max_size=300), max_size=20), st.booleans())
def test_any_bytes_are_read_or_refused(pieces: list[bytes], response: bool) -> None:
    it = reader(response=response)
    try:
        for piece in pieces:
            it.feed(piece)
        it.end()
    except HttpError:
        return
