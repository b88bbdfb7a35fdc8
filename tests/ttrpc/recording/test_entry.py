# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from bench.ttrpc.peer_pb2 import Item
from ttrpc.recording.entry import (
    Kind,
    message_fields,
    payload_fields,
    read_entries,
    to_message,
)

CALL = (
    '{"at": 1.5, "call": "Len", "service": "peer.v1.Echo", "sid": 1, '
    '"timeout_ns": 2000000000, "md": ["a=b=c"], "req": {"value": "YQ=="}}'
)


def test_a_call_has_its_timeout_and_metadata() -> None:
    (entry,) = read_entries([CALL])
    assert (entry.kind, entry.method, entry.line) == (Kind.CALL, "Len", 1)
    assert entry.timeout == 2
    assert entry.metadata == (("a", "b=c"),)
    assert entry.body == {"value": "YQ=="}


def test_lines_that_a_replay_does_not_need_are_passed_over() -> None:
    lines = ['{"recording": 1}', "", '{"at": 1, "handshake": "connect 1024"}', CALL]
    (entry,) = read_entries(lines)
    assert entry.line == 4


def test_a_bare_call_is_read_from_its_payload() -> None:
    """The form in which calls of runtime-rs's client crate were captured."""
    line = '{"method": "grpc.Health/Check", "timeout_nano": 0, "payload": "CgFh"}'
    (entry,) = read_entries([line])
    assert (entry.service, entry.method) == ("grpc.Health", "Check")
    assert entry.body == b"\n\x01a"
    assert entry.timeout is None


@pytest.mark.parametrize(
    "line",
    ["x", "[]", '{"call": "A", "sid": "b"}', '{"call": "A", "payload": "?"}'],
)
def test_another_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2: not of a recording"):
        list(read_entries([CALL, line]))


def test_a_body_becomes_a_message() -> None:
    item = Item(seq=1, text="one")
    assert to_message({"seq": 1, "text": "one", "later": 2}, Item) == item
    assert to_message(item.SerializeToString(), Item) == item
    with pytest.raises(ValueError, match="Item"):
        to_message({"seq": "no number"}, Item)
    with pytest.raises(ValueError, match="Item"):
        to_message(b"\xff", Item)


def test_fields_that_the_descriptors_lack_are_counted() -> None:
    fields = message_fields(
        StringValue.FromString(Item(seq=7, text="t").SerializeToString()), "req"
    )
    assert fields["unknown"] > 0
    assert "unknown" not in message_fields(Item(seq=7), "req")
    assert payload_fields(b"a") == {"payload": "YQ=="}
