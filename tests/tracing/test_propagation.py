# SPDX-License-Identifier: Apache-2.0
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_tracing.propagation import (
    extract,
    parse_traceparent,
    parse_tracestate,
    parse_uber_trace_id,
)
from kata_tracing.trace_context import TraceContext
from ttrpc.metadata import Metadata

TRACE = 0x4BF92F3577B34DA6A3CE929D0E0E4736
SPAN = 0x00F067AA0BA902B7
PARENT = f"00-{TRACE:032x}-{SPAN:016x}-01"
UBER = "4bf92f3577b34da6a3ce929d0e0e4736:51:0:1"


def from_metadata(*pairs: tuple[str, str]) -> TraceContext | None:
    return extract(Metadata(pairs).get_all)


def test_a_traceparent_is_read() -> None:
    assert from_metadata(("traceparent", PARENT)) == TraceContext(TRACE, SPAN)


def test_keys_are_case_insensitive() -> None:
    found = from_metadata(("Traceparent", PARENT), ("TraceState", "a=1"))
    assert found == TraceContext(TRACE, SPAN, True, "a=1")


def test_flags_without_sampled() -> None:
    found = from_metadata(("traceparent", PARENT[:-2] + "02"))
    assert found == TraceContext(TRACE, SPAN, sampled=False)


def test_an_uber_trace_id_is_read() -> None:
    assert from_metadata(("uber-trace-id", UBER)) == TraceContext(TRACE, 0x51)
    assert parse_uber_trace_id("ab%3A1%3a0%3A0") == TraceContext(0xAB, 1, sampled=False)


def test_a_valid_traceparent_wins() -> None:
    both = (("uber-trace-id", UBER), ("traceparent", PARENT))
    assert from_metadata(*both) == TraceContext(TRACE, SPAN)
    bad = (("uber-trace-id", UBER), ("traceparent", "00-x-y-z"))
    assert from_metadata(*bad) == TraceContext(TRACE, 0x51)


def test_the_first_of_several_headers_counts() -> None:
    other = PARENT.replace("4bf9", "ffff")
    assert from_metadata(("traceparent", PARENT), ("traceparent", other)) == (
        TraceContext(TRACE, SPAN)
    )


def test_no_header_is_no_context() -> None:
    assert from_metadata() is None
    assert from_metadata(("tracestate", "a=1")) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        PARENT[:-1],
        PARENT + "-",
        PARENT + "-00",
        PARENT.upper(),
        "ff" + PARENT[2:],
        f"00-{0:032x}-{SPAN:016x}-01",
        f"00-{TRACE:032x}-{0:016x}-01",
        PARENT.replace("-", "_"),
        PARENT.replace("4", "\uff14"),
        PARENT + "\n",
    ],
)
def test_a_malformed_traceparent_is_ignored(value: str) -> None:
    assert parse_traceparent(value) is None


def test_a_later_version_may_have_more_fields() -> None:
    assert parse_traceparent("01" + PARENT[2:] + "-more") == TraceContext(TRACE, SPAN)
    assert parse_traceparent("01" + PARENT[2:] + "more") is None


@pytest.mark.parametrize(
    "value", ["", ":::", "1:2:3", "0:1:0:1", "1:0:0:1", "x:1:0:1", "1" * 33 + ":1:0:1"]
)
def test_a_malformed_uber_trace_id_is_ignored(value: str) -> None:
    assert parse_uber_trace_id(value) is None


def test_tracestates_are_joined() -> None:
    assert parse_tracestate([]) == ""
    assert parse_tracestate(["a=1, b=2", "c@d=3 4"]) == "a=1,b=2,c@d=3 4"
    assert parse_tracestate(["a=1,,b=2"]) == "a=1,b=2"


@pytest.mark.parametrize(
    "values",
    [
        ["a"],
        ["A=1"],
        ["a=1\x00"],
        ["a=1,a=2"],
        ["a=1", "b"],
        [",".join(f"k{i}=1" for i in range(33))],
        ["a=" + "1" * 600],
    ],
)
def test_a_malformed_tracestate_is_ignored_as_a_whole(values: list[str]) -> None:
    assert parse_tracestate(values) == ""


def test_ten_kilobytes_of_garbage_are_ignored() -> None:
    garbage = random.Random(6).randbytes(10_000).decode("latin-1")
    keys = ("traceparent", "tracestate", "uber-trace-id")
    assert from_metadata(*((key, garbage) for key in keys)) is None
    long = (("traceparent", PARENT), ("tracestate", garbage))
    assert from_metadata(*long) == TraceContext(TRACE, SPAN)
    many = [("tracestate", f"k{i}=1") for i in range(5000)]
    assert from_metadata(("traceparent", PARENT), *many) == TraceContext(TRACE, SPAN)


@given(st.text(max_size=600), st.text(max_size=600), st.text(max_size=600))
def test_any_text_is_read_or_ignored(parent: str, state: str, uber: str) -> None:
    found = from_metadata(
        ("traceparent", parent), ("tracestate", state), ("uber-trace-id", uber)
    )
    assert found is None or found.trace_id


def test_a_context_is_read_as_it_was_written() -> None:
    context = TraceContext.new()
    assert context.trace_id != TraceContext.new().trace_id
    child = TraceContext(context.trace_id, context.child().span_id, False, "a=1")
    for sent in (context, child):
        assert extract(Metadata(sent.to_metadata()).get_all) == sent
    assert child.span_id != context.span_id
