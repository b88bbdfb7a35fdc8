# SPDX-License-Identifier: Apache-2.0
"""Many equal steps, such as the calls that copy a file, shown as one.

The page folds by the same rule in `rows.js`, and can unfold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from kata_host.trace.forest import SpanNode
from kata_host.trace.hint import hint
from kata_host.trace.received_span import SpanStatus

LEAST: Final = 4
"""Equal spans with one parent, from so many on, are shown as one."""


def folded(node: SpanNode) -> Iterator[list[SpanNode]]:
    """Yield the children of a span, alone or with those that equal each.

    Equal are spans with one name, one hint and one outcome, and without children. They
    are where the first of them is.
    """

    def key(child: SpanNode) -> tuple[str, str, bool] | None:
        if child.children:
            return None
        failed = child.span.status is SpanStatus.ERROR
        return child.span.name, hint(child.span, node.span), failed

    groups: dict[tuple[str, str, bool] | None, list[SpanNode]] = defaultdict(list)
    keys = [key(child) for child in node.children]
    for child, of in zip(node.children, keys, strict=True):
        groups[of].append(child)
    for child, of in zip(node.children, keys, strict=True):
        group = groups[of]
        if of is None or len(group) < LEAST:
            yield [child]
        elif group[0] is child:
            yield group
