# SPDX-License-Identifier: Apache-2.0
"""A file of spans: OTLP/JSON, a batch a line, as `kata-trace-forwarder --file` writes.

What is in the file comes from guests, so the number of spans and bytes is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kata_host.trace.json_spans import from_otlp_json
from kata_host.trace.received_span import MAX_SPANS, ReceivedSpan

MAX_BYTES: Final = 256 << 20
"""Bytes that are read. JSON is up to four times the size of the guest's batches, of
which a program keeps 64 MiB (`kata_host.forwarder.receiver`)."""


class SpanFileError(Exception):
    """The file holds no spans; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class SpanFile:
    """What was read of a file."""

    spans: Sequence[ReceivedSpan]
    is_whole: bool
    """Whether these are all spans of the file."""


def read_spans(path: Path) -> SpanFile:
    """Return the spans of a file, the first `MAX_SPANS` of them.

    Raises `SpanFileError`, and `OSError` for a file that cannot be read.
    """
    spans: list[ReceivedSpan] = []
    left = MAX_BYTES
    with path.open("rb") as file:
        number = 0
        while line := file.readline(left + 1):
            number += 1
            left -= len(line)
            if left < 0 or len(spans) >= MAX_SPANS:
                return SpanFile(spans, is_whole=False)
            if line.isspace():
                continue
            try:
                spans.extend(from_otlp_json(line))
            except ValueError as error:
                raise SpanFileError(
                    f"{path}: line {number}: no spans of OTLP/JSON: {error}"
                ) from None
    return SpanFile(spans[:MAX_SPANS], is_whole=len(spans) <= MAX_SPANS)
