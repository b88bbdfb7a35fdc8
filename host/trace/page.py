# SPDX-License-Identifier: Apache-2.0
"""Spans as one HTML page: a waterfall that needs no network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Any, Final

from kata_host.trace.received_span import ReceivedSpan, SpanStatus
from kata_host.trace.tree import SpanNode, build_trees, format_duration, shorten
from kata_tracing import semconv

TEMPLATE: Final = "page.html"
MARK: Final = "/*SPANS*/[]"
"""The place in the template for the spans."""
HINTS: Final = (
    semconv.CONTAINER_ID,
    semconv.EXEC_ID,
    semconv.STORAGE_DRIVER,
    semconv.STORAGE_FSTYPE,
    semconv.DEVICE_TYPE,
    semconv.UEVENT_NAME,
    semconv.NETWORK_INTERFACE_NAME,
    semconv.PROCESS_EXECUTABLE_NAME,
)
"""Attributes whose values are shown after a span's name."""


def render_page(spans: Iterable[ReceivedSpan]) -> str:
    """Return the page. A guest's text is text in it, never markup."""
    rows = [row for root in build_trees(spans) for row in _rows(root, None, 0)]
    data = json.dumps(rows, ensure_ascii=True)
    # Inside <script> the HTML parser looks for "</" and "<!--" only.
    template = files("kata_host.trace").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return template.replace(MARK, data.replace("<", "\\u003c"), 1)


def _hint(span: ReceivedSpan, parent: ReceivedSpan | None) -> str:
    """Return the values that tell a call from others of its name."""
    above = {} if parent is None else parent.attributes
    words = [
        shorten(str(value))
        for key in HINTS
        if (value := span.attributes.get(key)) and above.get(key) != value
    ]
    return " ".join(dict.fromkeys(words))


def _rows(
    node: SpanNode, parent: ReceivedSpan | None, depth: int
) -> Iterator[dict[str, Any]]:
    span = node.span
    yield {
        "name": shorten(span.name),
        "depth": depth,
        "trace": span.trace_id,
        "id": span.span_id,
        # Microseconds: JavaScript's numbers do not hold nanoseconds since 1970.
        "start": span.start / 1000,
        "end": max(span.start, span.end) / 1000,
        "time": format_duration(span.duration),
        "failed": span.status is SpanStatus.ERROR,
        "kind": span.kind.name.lower(),
        "attributes": [
            [shorten(k), shorten(str(v))] for k, v in span.attributes.items()
        ],
        "events": [[shorten(it.name), it.time / 1000] for it in span.events],
        "hint": _hint(span, parent),
    }
    for child in node.children:
        yield from _rows(child, span, depth + 1)
