# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
from typing import Any

import pytest

from kata_host.trace.page import page_data as module
from kata_host.trace.page.page_data import MAX_ITEMS, MAX_VALUE, page_data
from kata_host.trace.received_span import ReceivedSpan, SpanEvent, Value


def span(name: str, parent: str = "", start: int = 0, **more: Any) -> ReceivedSpan:
    return ReceivedSpan("t", name, parent, name, start, start + 5, **more)


def data_of(*spans: ReceivedSpan) -> Any:
    return json.loads(page_data(spans))


def values_of(value: Value) -> Any:
    """Return an attribute's value as the page has it."""
    data = data_of(span("a", attributes={"k": value}))
    return data["shared"][data["spans"][0][12][1]]


def test_spans_are_after_their_parents_with_times_since_the_first() -> None:
    data = data_of(span("b", "a", 10**18 + 7), span("a", start=10**18), span("c", "x"))
    assert data["first"] == "0"
    rows = [(row[0], data["shared"][row[1]], row[4:7]) for row in data["spans"]]
    assert rows == [
        (-1, "c", ["x", 0, 5]),
        (-1, "a", ["", 10**18, 5]),
        (1, "b", ["", 10**18 + 7, 5]),
    ]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("x", {"stringValue": "x"}),
        (True, {"boolValue": True}),
        (-(2**63), {"intValue": str(-(2**63))}),
        (0.5, {"doubleValue": 0.5}),
        (math.nan, {"doubleValue": "NaN"}),
        (-math.inf, {"doubleValue": "-Infinity"}),
        (b"\x00", {"bytesValue": "AA=="}),
        (
            ["x", 1],
            {"arrayValue": {"values": [{"stringValue": "x"}, {"intValue": "1"}]}},
        ),
        (
            {"k": ["x"]},
            {
                "kvlistValue": {
                    "values": [
                        {
                            "key": "k",
                            "value": {"arrayValue": {"values": [{"stringValue": "x"}]}},
                        }
                    ]
                }
            },
        ),
    ],
)
def test_a_value_is_that_of_otlp(value: Value, wanted: dict[str, Any]) -> None:
    assert values_of(value) == wanted


@pytest.mark.parametrize(
    "value", ["<" * 9000, ["<"] * 9000, {"k": "x" * 9000}, b"x" * 9000]
)
def test_a_huge_value_is_cut(value: Value) -> None:
    assert len(json.dumps(values_of(value))) < 3 * MAX_VALUE


def test_many_attributes_and_events_are_cut() -> None:
    many = span(
        "a",
        attributes={str(n): n for n in range(1000)},
        events=tuple(SpanEvent(str(n), n) for n in range(1000)),
    )
    row = data_of(many)["spans"][0]
    assert len(row[12]) == len(row[13]) == 2 * MAX_ITEMS


def test_spans_that_come_after_too_many_details_have_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_DETAILS", 5000)
    spans = [span(f"s{n}", attributes={f"k{n}": f"{n}" + "<" * 99}) for n in range(100)]
    data = data_of(*spans)
    assert len(data["spans"]) == 100
    bare = [row for row in data["spans"] if len(row) == 9]
    assert data["bare"] == len(bare)
    assert 80 < len(bare) < 100


def test_what_is_the_same_everywhere_is_there_once() -> None:
    spans = [span(f"{n}", attributes={"container.id": "c1"}) for n in range(50)]
    text = page_data(spans)
    assert text.count("c1") == 2  # As the hint, and as the attribute's value.
