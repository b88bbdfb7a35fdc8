# SPDX-License-Identifier: Apache-2.0
"""The spans as the page's scripts read them: JSON, compact and bounded.

A text or a value that many spans have is there once, and spans have its number.
`spans.js` reads the fields of a span in the order of `_row` and `_details`. An
attribute's value is as OTLP/JSON has it, because the page saves spans in that form.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, Final

from kata_host.trace.fold import LEAST
from kata_host.trace.forest import SpanNode, build_trees
from kata_host.trace.hint import hint
from kata_host.trace.page.shared_values import SharedValues, to_json
from kata_host.trace.received_span import ReceivedSpan, SpanStatus, Value
from kata_host.trace.shorten import shorten
from kata_tracing import semconv

MAX_VALUE: Final = 256
"""Characters of a text that is an attribute's value, or bytes."""
MAX_LIST: Final = 4096
"""Characters of a list or a map as JSON; a longer one becomes a text."""
MAX_ITEMS: Final = 64
"""Attributes of a span, and its events."""
MAX_DETAILS: Final = 16 << 20
"""Characters of different texts and values. Spans that come after these have a name,
and neither attributes nor events."""


def page_data(spans: Iterable[ReceivedSpan]) -> str:
    """Return all that the scripts need to know, as JSON without `<`."""
    rows = _in_order(build_trees(spans))
    first = min((span.start for span, _ in rows), default=0)
    shared = SharedValues()
    written: list[str] = []
    bare = 0
    for span, above in rows:
        parent = rows[above][0] if above >= 0 else None
        row = _row(span, above, parent, first, shared)
        if shared.size < MAX_DETAILS:
            row += _details(span, parent, first, shared)
        else:
            bare += 1
        written.append(to_json(row))
    parts = {
        # A string: JavaScript's numbers do not hold nanoseconds since 1970.
        "first": f'"{first}"',
        "fold": f"{LEAST}",
        "bare": f"{bare}",
        "shared": shared.to_json(),
        "spans": f"[{','.join(written)}]",
    }
    return "{" + ",".join(f'"{name}":{part}' for name, part in parts.items()) + "}"


def _in_order(roots: Iterable[SpanNode]) -> list[tuple[ReceivedSpan, int]]:
    """Return spans, each after its parent, and the parents' numbers (-1 for none)."""
    found: list[tuple[ReceivedSpan, int]] = []
    waiting = [(root, -1) for root in roots][::-1]
    while waiting:
        node, above = waiting.pop()
        waiting += [(child, len(found)) for child in reversed(node.children)]
        found.append((node.span, above))
    return found


def _row(
    span: ReceivedSpan,
    above: int,
    parent: ReceivedSpan | None,
    first: int,
    shared: SharedValues,
) -> list[Any]:
    return [
        above,
        shared.number(shorten(span.name)),
        shared.number(shorten(span.trace_id)),
        shorten(span.span_id),
        # The id of a parent that is on the page is there.
        shorten(span.parent_id) if parent is None else "",
        span.start - first,
        span.duration,
        int(span.kind),
        int(span.status is SpanStatus.ERROR),
    ]


def _details(
    span: ReceivedSpan, parent: ReceivedSpan | None, first: int, shared: SharedValues
) -> list[Any]:
    container = span.attributes.get(semconv.CONTAINER_ID, "")
    attributes = list(span.attributes.items())[:MAX_ITEMS]
    return [
        shared.number(hint(span, parent)),
        shared.number(shorten(span.service)),
        shared.number(shorten(str(container))),
        [
            number
            for key, value in attributes
            for number in (shared.number(shorten(key)), shared.number(_value(value)))
        ],
        [
            number
            for event in span.events[:MAX_ITEMS]
            for number in (shared.number(shorten(event.name)), event.time - first)
        ],
    ]


def _value(value: Value) -> dict[str, Any]:
    """Return an `AnyValue` of OTLP/JSON, bounded."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            # JSON has no numbers for some of them.
            finite = float("-inf") < value < float("inf")
            return {"doubleValue": value if finite else _WORDS[str(value)]}
        case bytes():
            data = base64.b64encode(value[:MAX_VALUE]).decode()
            return {"bytesValue": data}
        case str():
            return {"stringValue": shorten(value, MAX_VALUE)}
    whole = _array(value) if isinstance(value, list) else _pairs(value)
    text = to_json(whole)
    if len(text) > MAX_LIST:
        return {"stringValue": shorten(text, MAX_VALUE)}
    return whole


_WORDS: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
"""What protobuf's JSON has for them."""


def _array(values: list[Value]) -> dict[str, Any]:
    return {"arrayValue": {"values": [_value(value) for value in values]}}


def _pairs(values: dict[str, Value]) -> dict[str, Any]:
    pairs = [{"key": shorten(k), "value": _value(v)} for k, v in values.items()]
    return {"kvlistValue": {"values": pairs}}
