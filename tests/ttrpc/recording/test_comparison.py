# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from bench.ttrpc.peer_pb2 import Total
from ttrpc.recording.api import Api, Reads
from ttrpc.recording.comparison import compare_messages
from ttrpc.recording.entry import Body, Entry, Kind


def compared(body: Body, now: Message, reads: Reads | None) -> list[tuple[str, bool]]:
    api = Api("peer", {}, reads=None if reads is None else {"Sum": reads})
    call = Entry(Kind.CALL, 3, 0, 0, 1, "Sum")
    answer = Entry(Kind.ANSWER, 4, 0, 0, 1, "Sum", body=body)
    return [
        (found.text, found.matters)
        for found in compare_messages(api, call, answer, now)
    ]


def test_equal_messages_do_not_differ() -> None:
    assert not compared({"sum": 3, "num": 1}, Total(sum=3, num=1), Reads())


def test_a_field_that_a_client_reads_matters_and_another_does_not() -> None:
    found = compared({"sum": 3, "num": 1}, Total(sum=4, num=2), Reads(values=("sum",)))
    assert found == [
        ("sum: recorded 3, now 4", True),
        ("num: recorded 1, now 2", False),
    ]


def test_a_field_may_only_have_to_be_there() -> None:
    reads = Reads(present=("sum",))
    assert not compared({"sum": 3}, Total(sum=9), reads)
    assert compared({"sum": 3}, Total(), reads) == [
        ("sum: recorded 3, now absent", True)
    ]
    assert not any(matters for _, matters in compared({}, Total(sum=9), reads))


def test_every_field_matters_without_a_list() -> None:
    ((text, matters),) = compared({"sum": 3}, Total(sum=4), None)
    assert text == "recorded {'sum': 3}, now {'sum': 4}"
    assert matters


def test_messages_of_unknown_types_are_compared_by_their_bytes() -> None:
    same = Empty.FromString(b"\x08\x03")
    assert not compared(b"\x08\x03", same, None)
    assert compared(b"\x08\x04", same, None)
