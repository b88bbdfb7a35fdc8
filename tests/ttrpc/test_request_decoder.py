# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttrpc.envelope import encode_request, request_head
from ttrpc.envelope_pb2 import KeyValue, Request
from ttrpc.errors import StatusError
from ttrpc.request_decoder import METADATA_LIMIT, RequestDecoder, UnknownMethod

LONG = "x" * 200
DECODER = RequestDecoder({("a.B", "C"): "target", (LONG, "C"): "long"})


def body(*, service: str = "a.B", method: str = "C", payload: bytes = b"") -> bytes:
    request = Request(service=service, method=method, payload=payload)
    return request.SerializeToString()


@given(
    st.binary(max_size=300),
    st.integers(-(2**63), 2**63 - 1),
    st.lists(st.tuples(st.text(), st.text()), max_size=3),
)
def test_a_request_is_read_as_it_was_written(
    payload: bytes, timeout_nano: int, pairs: list[tuple[str, str]]
) -> None:
    parts = encode_request(request_head("a.B", "C"), payload, timeout_nano, pairs)
    request = Request.FromString(b"".join(parts))
    assert (request.service, request.method) == ("a.B", "C")
    target, read, timeout, metadata = DECODER.decode(b"".join(parts))
    assert (target, bytes(read), timeout) == ("target", payload, timeout_nano)
    assert list(metadata) == pairs


def test_the_method_is_found_in_any_order_of_the_fields() -> None:
    """In protobuf a field may come anywhere, and twice; the last occurrence wins."""
    other_way_round = b"\x1a\x01p\x12\x01C\x0a\x03a.B"
    assert DECODER.decode(other_way_round)[:2] == ("target", b"p")
    changed_at_the_end = body(payload=b"p") + b"\x12\x01D"
    assert DECODER.decode(changed_at_the_end)[0] == UnknownMethod("a.B", "D")


def test_a_long_name_is_found() -> None:
    assert DECODER.decode(body(service=LONG))[0] == "long"


@pytest.mark.parametrize("data", [b"", b"\x0a\x03a.B"])
def test_a_request_without_names_has_no_method(data: bytes) -> None:
    assert isinstance(DECODER.decode(data)[0], UnknownMethod)


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\x7fa.B\x12", b"\xff\xff\xff"])
def test_an_invalid_request_is_refused(data: bytes) -> None:
    with pytest.raises(StatusError, match="INVALID_ARGUMENT: unmarshal request error"):
        DECODER.decode(data)


@pytest.mark.parametrize(
    "length", [b"", b"\x80", b"\x80\x80\x80\x80", b"\xff\xff\xff\xff\x0f", b"\x05"]
)
def test_a_payload_that_is_cut_off_is_refused(length: bytes) -> None:
    with pytest.raises(StatusError, match="INVALID_ARGUMENT: unmarshal request error"):
        DECODER.decode(body() + b"\x1a" + length)


def test_metadata_keeps_its_order_and_its_doubles() -> None:
    pairs = [("k", "1"), ("K", "2"), ("k", "")]
    request = Request(
        service="a.B",
        method="C",
        metadata=[KeyValue(key=key, value=value) for key, value in pairs],
    )
    assert list(DECODER.decode(request.SerializeToString())[3]) == pairs
    request.service = "no.Such"
    assert list(DECODER.decode(request.SerializeToString())[3]) == pairs


@pytest.mark.parametrize("service", ["a.B", "no.Such"])
def test_metadata_has_so_many_pairs(service: str) -> None:
    """An empty pair takes two bytes to send and a hundred to keep."""
    for over in (0, 1):
        count = METADATA_LIMIT + over
        data = body(service=service) + b"\x2a\x00" * count
        if not over:
            assert list(DECODER.decode(data)[3]) == [("", "")] * count
            continue
        text = (
            f"RESOURCE_EXHAUSTED: {count} pairs of metadata, {METADATA_LIMIT} at most"
        )
        with pytest.raises(StatusError, match=f"^{text}$"):
            DECODER.decode(data)
