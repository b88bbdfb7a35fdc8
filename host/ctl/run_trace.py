# SPDX-License-Identifier: Apache-2.0
"""The trace of one `run`: collected from its guest, shown as a tree.

The span at the top is the command's own. Each call carries its context, so the agent's
spans are its children; OpenTelemetry is not needed for that.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from kata_host.ctl.ports import TRACE_PORT
from kata_host.ctl.trace_page import write_page
from kata_host.forwarder.receiver import Receiver
from kata_host.guest.guest import OwnGuest
from kata_host.trace.client_interceptor import from_environment, inject
from kata_host.trace.fitting import fitting
from kata_host.trace.received_span import ReceivedSpan
from kata_host.trace.tree import render_tree
from kata_tracing.span_kind import SpanKind
from kata_tracing.trace_context import TraceContext
from ttrpc.call_context import CallContext
from ttrpc.interceptor import Proceed

PATIENCE: Final = 5.0
"""Seconds that the guest may take to end; its agent sends the last spans then."""
WIDTH: Final = 100
"""Columns, if standard error is not a terminal."""


class RunTrace:
    """The spans of a guest, and the one of the command that started the guest."""

    def __init__(
        self, guest: OwnGuest, name: str, started: int, page: Path | None = None
    ) -> None:
        """`started` is the beginning of the command, in nanoseconds since the epoch.

        `page` is the file for a web page of the trace.
        """
        self._guest = guest
        self._name = name
        self._parent = from_environment()
        self._context = (
            TraceContext.new() if self._parent is None else self._parent.child()
        )
        self._receiver = Receiver(f"{guest.socket}_{TRACE_PORT}")
        self._started = started
        self._page = page

    async def interceptor(
        self, request: Any, context: CallContext, proceed: Proceed
    ) -> Any:
        """Make the agent's spans of a call children of the command's."""
        inject(context, self._context)
        return await proceed(request, context)

    async def __aenter__(self) -> Self:
        await self._receiver.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Wait for the last spans; print the tree on standard error, write the page."""
        ended = time.time_ns()
        try:
            if exc_info[0] is None:
                await asyncio.to_thread(self._guest.ending, PATIENCE)
        finally:
            await self._receiver.__aexit__(*exc_info)
        top = self._top(ended)
        spans = [_below(top, span) for span in self._receiver.spans()]
        tree = render_tree([top, *spans], width=_width())
        print(fitting(tree, sys.stderr.encoding), end="", file=sys.stderr)
        if self._page is not None:
            write_page(self._page, [top, *spans])

    def _top(self, ended: int) -> ReceivedSpan:
        return ReceivedSpan(
            trace_id=f"{self._context.trace_id:032x}",
            span_id=f"{self._context.span_id:016x}",
            parent_id="" if self._parent is None else f"{self._parent.span_id:016x}",
            name=self._name,
            start=self._started,
            end=ended,
            kind=SpanKind.CLIENT,
        )


def _below(top: ReceivedSpan, span: ReceivedSpan) -> ReceivedSpan:
    """Put a span without a parent, as that of the boot, below the command's."""
    return replace(span, trace_id=top.trace_id, parent_id=span.parent_id or top.span_id)


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except OSError:
        return WIDTH
