# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from hypothesis import given
from hypothesis import strategies as st

from ttrpc.codes import Code
from ttrpc.envelope import (
    decode_response,
    encode_error,
    response_head,
    varint,
)
from ttrpc.envelope_pb2 import Response
from ttrpc.errors import StatusError


@given(st.binary(max_size=300))
def test_a_response_is_read_as_it_was_written(payload: bytes) -> None:
    data = response_head(len(payload)) + payload
    assert Response.FromString(data).payload == payload
    assert decode_response(memoryview(data)) == payload


def test_an_ok_status_is_left_out_and_may_be_there() -> None:
    """Go sends no status, ttrpc-rust an empty one, which openvmm takes for an error."""
    assert response_head(0) == b""
    assert decode_response(b"\x0a\x00\x12\x01x") == b"x"


def test_an_error_keeps_code_text_and_details() -> None:
    error = StatusError(
        Code.ABORTED, "text\x1b", [AnyMessage(type_url="t", value=b"v")]
    )
    with pytest.raises(StatusError) as caught:
        decode_response(encode_error(error))
    assert vars(caught.value) == vars(error)


@pytest.mark.parametrize("number", [0, 0x7F, 0x80, 0x3FFF, 0x4000, 4 << 20])
def test_lengths_are_protobufs_varints(number: int) -> None:
    message = Response(payload=bytes(number or 1)).SerializeToString()
    if number:
        assert message[1:].startswith(varint(number))
    else:
        assert varint(0) == b"\0"


def test_text_that_utf_8_has_not_is_sent_as_escapes() -> None:
    """os.fsdecode returns such text for a file's name."""
    with pytest.raises(StatusError, match=r"ABORTED: /caf\\udce9"):
        decode_response(encode_error(StatusError(Code.ABORTED, "/caf\udce9")))


@pytest.mark.parametrize("code", [-1, 17, 99, 2**31 - 1])
def test_a_code_that_grpc_does_not_define_is_sent_as_unknown(code: int) -> None:
    """ttrpc-rust's client takes such a code for success."""
    with pytest.raises(StatusError) as caught:
        decode_response(encode_error(StatusError(code, "x")))
    assert (caught.value.code, caught.value.message) == (Code.UNKNOWN, "x")
