# SPDX-License-Identifier: Apache-2.0
"""The host's end of the trace port inside a program: spans as objects."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from kata_host.forwarder.listen import listen_unix
from kata_host.forwarder.received_batch import OTLP, ReceivedBatch
from kata_host.forwarder.sink import TAKEN, BatchResponse
from kata_host.forwarder.trace_server import TraceServer, TraceServerLimits
from kata_host.trace.received_span import MAX_SPANS, ReceivedSpan, from_otlp

MAX_BYTES: Final = 64 << 20
"""Bytes of all encoded batches together. A batch that exceeds this, or `MAX_SPANS`, is
refused, and the guest counts it."""


class Receiver:
    """Listens on a unix socket, usually `<guest socket>_10240`, and keeps spans.

    The receiver takes OTLP only. Spans that a guest sends before the receiver listens
    come later, because the guest keeps them and tries again.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        limits: TraceServerLimits | None = None,
        max_spans: int = MAX_SPANS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._path = Path(path).absolute()
        self._limits = limits
        self._max_spans = max_spans
        self._bytes_left = max_bytes
        self._spans: list[ReceivedSpan] = []
        self._arrived = asyncio.Condition()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        listener = await listen_unix(self._path)
        self._stack.callback(self._path.unlink, missing_ok=True)
        await self._stack.enter_async_context(
            TraceServer([listener], self, limits=self._limits)
        )
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def path(self) -> str:
        return os.fspath(self._path)

    def spans(self) -> list[ReceivedSpan]:
        """Return all spans that have arrived, in that order."""
        return self._spans.copy()

    async def wait_for(self, count: int) -> list[ReceivedSpan]:
        """Wait until `count` spans have arrived, and return all."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self._spans) >= count)
        return self.spans()

    async def take(self, batch: ReceivedBatch) -> BatchResponse:
        """Keep the spans of a batch."""
        if batch.format is not OTLP:
            return BatchResponse(415)
        try:
            request = ExportTraceServiceRequest.FromString(batch.body)
        except DecodeError:
            return BatchResponse(400)
        count = sum(
            len(it.spans) for s in request.resource_spans for it in s.scope_spans
        )
        size = len(batch.body)
        if len(self._spans) + count > self._max_spans or size > self._bytes_left:
            return BatchResponse(413)
        self._bytes_left -= size
        spans = list(from_otlp(request))
        async with self._arrived:
            self._spans += spans
            self._arrived.notify_all()
        return TAKEN
