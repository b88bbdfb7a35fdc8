# SPDX-License-Identifier: Apache-2.0
"""Batches as lines of OTLP/JSON."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from kata_host.forwarder.json_lines import JsonLines, to_json
from kata_host.forwarder.received_batch import JAEGER, OTLP, ReceivedBatch
from kata_host.forwarder.sink import TAKEN

TRACE, SPAN, PARENT = bytes(range(16)), bytes(range(8)), bytes(range(1, 9))


def request(name: str = "a.b") -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    span = spans.add(name=name, trace_id=TRACE, span_id=SPAN, parent_span_id=PARENT)
    span.kind = span.SPAN_KIND_SERVER
    span.start_time_unix_nano = 1_700_000_000_000_000_001
    span.links.add(trace_id=TRACE, span_id=SPAN)
    return message


def batch(body: bytes) -> ReceivedBatch:
    return ReceivedBatch(OTLP, "application/x-protobuf", body, "guest")


def spans_in(line: str) -> list[dict[str, Any]]:
    (resource,) = json.loads(line)["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    found: list[dict[str, Any]] = scope["spans"]
    return found


def test_ids_are_hex_and_enums_are_numbers() -> None:
    (span,) = spans_in(to_json(request()))
    assert span["traceId"] == TRACE.hex()
    assert span["spanId"] == SPAN.hex()
    assert span["parentSpanId"] == PARENT.hex()
    assert span["kind"] == 2
    assert span["startTimeUnixNano"] == "1700000000000000001"
    assert span["links"] == [{"traceId": TRACE.hex(), "spanId": SPAN.hex()}]


async def test_each_batch_is_a_line_at_the_end_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text("{}\n")
    with JsonLines(path) as file:
        for name in ("one", "two\nlines"):
            assert await file.take(batch(request(name).SerializeToString())) is TAKEN
    first, *lines = path.read_text().splitlines()
    assert first == "{}"
    assert [spans_in(line)[0]["name"] for line in lines] == ["one", "two\nlines"]


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        JsonLines(tmp_path / "new").close()
    finally:
        os.umask(mask)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    # A file that is there keeps the mode that its owner has given to it.
    (tmp_path / "old").touch()
    (tmp_path / "old").chmod(0o640)
    JsonLines(tmp_path / "old").close()
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o640


async def test_a_batch_that_is_not_otlp_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    with JsonLines(path) as file:
        assert (await file.take(batch(b"\xff\xff"))).status == 400
        jaeger = ReceivedBatch(JAEGER, "application/x-thrift", b"", "guest")
        assert (await file.take(jaeger)).status == 415
    assert path.read_text() == ""


async def test_the_file_does_not_grow_over_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    body = request("x" * 500).SerializeToString()
    with JsonLines(path, max_size=1000) as file:
        assert await file.take(batch(body)) is TAKEN
        assert (await file.take(batch(body))).status == 507
        assert await file.take(batch(b"")) is TAKEN
    assert path.stat().st_size <= 1000


async def test_a_disk_without_room_refuses_the_batch() -> None:
    with JsonLines(Path("/dev/full")) as file:
        assert (await file.take(batch(b""))).status == 507


async def test_no_part_of_a_line_stays_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spans.jsonl"
    write, wrote = os.write, []

    def write_some(fd: int, data: memoryview) -> int:
        if wrote:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        wrote.append(write(fd, data[:5]))
        return 5

    with JsonLines(path) as file:
        assert await file.take(batch(b"")) is TAKEN
        whole = path.read_text()
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", write_some)
            assert (await file.take(batch(request().SerializeToString()))).status == 507
        assert path.read_text() == whole
        assert await file.take(batch(b"")) is TAKEN
    assert path.read_text() == 2 * whole


def test_a_fifo_is_no_file(tmp_path: Path) -> None:
    """Its open would wait for a reader, and a reader may stop."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="No such device or address"):
        JsonLines(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="not a regular file"):
        JsonLines(tmp_path / "fifo")
    os.close(reader)
