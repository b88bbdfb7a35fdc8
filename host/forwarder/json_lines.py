# SPDX-License-Identifier: Apache-2.0
"""Batches as lines of OTLP/JSON, which the collector's `otlpjsonfile` reads.

OTLP/JSON is protobuf's JSON, except that ids are hex instead of base64, and enums
are numbers (OpenTelemetry Protocol Specification, "JSON Protobuf Encoding").
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import json
import logging
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from kata_host.forwarder.defaults import MAX_FILE_SIZE
from kata_host.forwarder.received_batch import OTLP, ReceivedBatch
from kata_host.forwarder.sink import TAKEN, BatchResponse
from kata_host.log_limit import LogLimit

log = logging.getLogger(__name__)

IDS: Final = ("traceId", "spanId", "parentSpanId")
FILE_MODE: Final = 0o600
"""Of a new file; that of a file which is there already stays."""


class JsonLines:
    """A file as a sink."""

    def __init__(self, path: Path, *, max_size: int = MAX_FILE_SIZE) -> None:
        """Open `path` to append to it. Raises `OSError`."""
        self._path = path
        self._max_size = max_size
        self._warnings = LogLimit(log)
        # For its owner alone: names of containers and errors are in spans.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        # The open of a fifo would wait for a reader.
        self._fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, FILE_MODE)
        kind = os.fstat(self._fd).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):
            os.close(self._fd)
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        # A hostile batch takes seconds to decode, so a thread does it; and memory, so
        # one thread does it.
        self._decoder = ThreadPoolExecutor(max_workers=1)

    async def take(self, batch: ReceivedBatch) -> BatchResponse:
        """Append a batch as one line."""
        if batch.format is not OTLP:
            return BatchResponse(415)
        try:
            loop = asyncio.get_running_loop()
            line = await loop.run_in_executor(self._decoder, _to_line, batch.body)
        except (DecodeError, RecursionError):
            return BatchResponse(400)
        data = line.encode() + b"\n"
        size = os.fstat(self._fd).st_size
        if size + len(data) > self._max_size:
            self._warnings.warning(
                "file %s: batch refused, limit is %d bytes", self._path, self._max_size
            )
            return BatchResponse(507)
        try:
            self._append(data)
        except OSError as error:
            self._warnings.warning("file %s: %s", self._path, error.strerror)
            # No part of a line stays, because the guest keeps the batch.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, size)
            return BatchResponse(507)
        return TAKEN

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        self._decoder.shutdown(wait=False, cancel_futures=True)
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _to_line(body: bytes) -> str:
    return to_json(ExportTraceServiceRequest.FromString(body))


def to_json(request: ExportTraceServiceRequest) -> str:
    """Return a batch as OTLP/JSON, without line breaks."""
    message = MessageToDict(request, use_integers_for_enums=True)
    for resource_spans in message.get("resourceSpans", ()):
        for scope_spans in resource_spans.get("scopeSpans", ()):
            for span in scope_spans.get("spans", ()):
                _to_hex(span)
                for link in span.get("links", ()):
                    _to_hex(link)
    return json.dumps(message, separators=(",", ":"))


def _to_hex(message: dict[str, Any]) -> None:
    for key in IDS:
        if key in message:
            message[key] = base64.b64decode(message[key]).hex()
