# SPDX-License-Identifier: Apache-2.0
"""The receiver keeps the spans that a guest sends, up to a bound."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from kata_host.forwarder.received_batch import JAEGER, OTLP, ReceivedBatch
from kata_host.forwarder.receiver import Receiver


def batch_of(count: int, name: str = "") -> ReceivedBatch:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for _ in range(count):
        scope.spans.add(name=name)
    body = request.SerializeToString()
    return ReceivedBatch(OTLP, "application/x-protobuf", body, "guest")


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    return Receiver(tmp_path / "x", max_spans=10, max_bytes=1000)


async def test_spans_are_kept(receiver: Receiver) -> None:
    assert (await receiver.take(batch_of(6))).status == 200
    assert len(await receiver.wait_for(6)) == 6


async def test_too_many_spans_are_refused(receiver: Receiver) -> None:
    assert (await receiver.take(batch_of(6))).status == 200
    assert (await receiver.take(batch_of(6))).status == 413
    assert len(receiver.spans()) == 6


async def test_too_many_bytes_are_refused(receiver: Receiver) -> None:
    assert (await receiver.take(batch_of(1, "x" * 600))).status == 200
    assert (await receiver.take(batch_of(1, "x" * 600))).status == 413
    assert (await receiver.take(batch_of(1))).status == 200


async def test_a_batch_that_is_not_otlp_is_refused(receiver: Receiver) -> None:
    wrong = ReceivedBatch(OTLP, "application/x-protobuf", b"\xff\xff", "guest")
    assert (await receiver.take(wrong)).status == 400
    assert (await receiver.take(ReceivedBatch(JAEGER, "", b"", "guest"))).status == 415
