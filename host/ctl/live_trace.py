# SPDX-License-Identifier: Apache-2.0
"""Traces of a guest, printed as they become complete."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from kata_host.trace.fitting import fitting
from kata_host.trace.received_span import ReceivedSpan
from kata_host.trace.tree import render_tree
from kata_tracing.span_kind import SpanKind


class LiveTrace:
    """Collects spans into trees. A tree is complete with its root, because children
    end, and arrive, before their parent."""

    def __init__(self) -> None:
        self.seen = 0
        """Number of spans that were taken so far."""
        self._waiting: defaultdict[str, list[ReceivedSpan]] = defaultdict(list)

    def show(self, spans: Sequence[ReceivedSpan]) -> None:
        """Print the trees that `spans`, all that there are so far, complete."""
        fresh, self.seen = spans[self.seen :], len(spans)
        for tree in self.completed(fresh):
            text = fitting(render_tree(tree), sys.stdout.encoding)
            print(text, end="", flush=True)

    def completed(self, spans: Iterable[ReceivedSpan]) -> Iterator[list[ReceivedSpan]]:
        """Take more spans; yield each call's, and each root's, with those below it."""
        for span in spans:
            tree = self._waiting[span.trace_id]
            tree.append(span)
            if span.kind is SpanKind.SERVER or not span.parent_id:
                yield self._waiting.pop(span.trace_id)
