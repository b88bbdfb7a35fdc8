# SPDX-License-Identifier: Apache-2.0
"""Makes batches of spans, none of them too large."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from kata_tracing.batch import Batch
from kata_tracing.encoding.encoding import Encoding
from kata_tracing.span_data import SpanData

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

log = logging.getLogger(__name__)


class BatchEncoder:
    """Encodes spans by one encoding."""

    def __init__(
        self,
        encoding: Encoding,
        translate: Callable[[SpanData], ReadableSpan],
        *,
        max_bytes: int,
    ) -> None:
        """`max_bytes` bounds a batch, unless a single span is larger."""
        self._encoding = encoding
        self._translate = translate
        self._max_bytes = max_bytes

    def encode(self, spans: Sequence[SpanData]) -> Iterator[Batch | None]:
        """Yield batches that hold all `spans` in order.

        None stands for one span that cannot be encoded. To find it, and to keep to
        `max_bytes`, the spans are halved again and again.
        """
        try:
            body = self._encoding.encode([self._translate(span) for span in spans])
        except Exception as error:
            if len(spans) == 1:
                log.warning("span not encoded: %s", type(error).__name__)
                yield None
                return
        else:
            if len(body) <= self._max_bytes or len(spans) == 1:
                yield Batch(body, len(spans))
                return
        middle = len(spans) // 2
        yield from self.encode(spans[:middle])
        yield from self.encode(spans[middle:])
