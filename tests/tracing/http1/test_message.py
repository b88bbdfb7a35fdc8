# SPDX-License-Identifier: Apache-2.0
import pytest

from kata_tracing.http1.message import (
    HttpError,
    HttpMessage,
    format_request,
    format_response,
)
from kata_tracing.http1.message_reader import MessageReader


def test_a_request_is_read_as_it_was_written() -> None:
    data = format_request("/v1/traces", b"body", "application/x-protobuf", host="h")
    message = MessageReader(max_body=1000).feed(data)
    assert message is not None
    assert message.target == ("POST", "/v1/traces")
    assert message.body == b"body"
    assert message.headers["content-type"] == "application/x-protobuf"
    assert message.headers["host"] == "h"
    assert message.keeps_alive


def test_a_response_is_read_as_it_was_written() -> None:
    data = format_response(503, "Service Unavailable", {"Retry-After": "1"}, b"later")
    message = MessageReader(max_body=1000, response=True).feed(data)
    assert message is not None
    assert message.status == 503
    assert message.headers["retry-after"] == "1"
    assert message.body == b"later"


def test_a_message_may_keep_the_connection_open() -> None:
    def keeps(start_line: str, **headers: str) -> bool:
        return HttpMessage(start_line, headers, b"").keeps_alive

    assert keeps("HTTP/1.1 200 OK")
    assert not keeps("HTTP/1.1 200 OK", connection="Close")
    assert not keeps("POST / HTTP/1.0")
    assert keeps("POST / HTTP/1.0", connection="keep-alive")


@pytest.mark.parametrize("line", ["", "HTTP/1.1", "HTTP/1.1 20", "SPDY 200 OK"])
def test_a_line_that_is_not_a_status_line_is_refused(line: str) -> None:
    with pytest.raises(HttpError):
        _ = HttpMessage(line, {}, b"").status


@pytest.mark.parametrize("line", ["", "GET /", "GET / HTTP/2.0", "GET  / HTTP/1.1"])
def test_a_line_that_is_not_a_request_line_is_refused(line: str) -> None:
    with pytest.raises(HttpError):
        _ = HttpMessage(line, {}, b"").target
