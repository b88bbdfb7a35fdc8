# SPDX-License-Identifier: Apache-2.0
"""TRACING.md's catalogue of spans, as data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeAlias

from kata_host.trace.received_span import ReceivedSpan
from kata_tracing import semconv
from kata_tracing.span_kind import SpanKind

ROOT: Final = Path(__file__).parents[2]
Row: TypeAlias = tuple[str, str, str, frozenset[str]]
"""Name, subsystem, file and attributes."""
COMMON: Final = {semconv.SUBSYSTEM, semconv.SANDBOX_ID}
FAILED: Final = {semconv.ERROR_TYPE, semconv.ERRNO}
CALL: Final = {
    semconv.SOURCE,
    semconv.RPC_SYSTEM_NAME,
    semconv.RPC_METHOD,
    semconv.RPC_RESPONSE_STATUS_CODE,
    semconv.CONTAINER_ID,
    semconv.EXEC_ID,
    semconv.API_CATEGORY,
}


def in_page() -> set[Row]:
    text = (ROOT / "TRACING.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| (\S+) \| (.*) \| `([^`]+)` \|$", text, re.M)
    return {
        (name, subsystem, file, frozenset(re.findall("`([^`]+)`", attributes)))
        for name, subsystem, attributes, file in rows
    }


def check(spans: Iterable[ReceivedSpan]) -> None:
    """Assert that each span is as the page says: name, subsystem, attributes."""
    allowed: dict[tuple[str, str], set[str]] = {}
    for name, subsystem, _, attributes in in_page():
        allowed.setdefault((name, subsystem), set()).update(attributes)
    for span in spans:
        keys = set(span.attributes) - COMMON - FAILED
        subsystem = str(span.attributes[semconv.SUBSYSTEM])
        if span.kind is SpanKind.SERVER:
            assert subsystem == semconv.RPC_SUBSYSTEM
            assert keys <= CALL, span
            continue
        name = re.sub(r"^runtime\..*", "runtime.<...>", span.name)
        assert keys <= allowed[name, subsystem], span
