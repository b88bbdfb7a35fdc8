# SPDX-License-Identifier: Apache-2.0
"""The guest gets the collector's response, or is told to try again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.forwarder.collector_address import CollectorAddress
from kata_host.forwarder.received_batch import JAEGER, OTLP, ReceivedBatch
from kata_host.forwarder.relay import Relay
from kata_host.forwarder.sink import TRY_AGAIN
from kata_tracing.http1.message import format_response
from tests.helpers.trace_port import HANG, OK, FakeCollector, fake_collector

BATCH = ReceivedBatch(OTLP, "application/x-protobuf", b"body", "guest")


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[FakeCollector]:
    with fake_collector(tmp_path / "collector") as it:
        yield it


def relay_to(collector: FakeCollector, *, timeout: float = 60) -> Relay:
    return Relay(CollectorAddress.parse(f"unix://{collector.path}"), timeout=timeout)


async def test_a_batch_arrives_as_it_was(collector: FakeCollector) -> None:
    assert (await relay_to(collector).take(BATCH)).status == 200
    (request,) = collector.requests
    assert request.body == b"body"
    assert request.target == ("POST", "/v1/traces")
    assert request.headers["content-type"] == "application/x-protobuf"


async def test_jaegers_path_has_its_format(collector: FakeCollector) -> None:
    batch = ReceivedBatch(JAEGER, "application/x-thrift", b"body", "guest")
    assert (await relay_to(collector).take(batch)).status == 200
    assert collector.requests[0].target[1] == "/api/traces?format=jaeger.thrift"


@pytest.mark.parametrize("status", [400, 404, 413, 429, 500, 503])
async def test_the_guest_gets_the_collectors_response(
    collector: FakeCollector, status: int
) -> None:
    headers = {"Retry-After": "7", "Set-Cookie": "x=y", "Content-Type": "text/plain"}
    collector.answers = [format_response(status, "Whatever", headers, b"words")]
    answer = await relay_to(collector).take(BATCH)
    assert (answer.status, answer.body) == (status, b"words")
    # Other headers stay on the host.
    assert answer.headers == {"Content-Type": "text/plain", "Retry-After": "7"}


@pytest.mark.parametrize(
    "said", [HANG, b"SSH-2.0-x\r\n\r\n", b"x" * 100_000], ids=["hung", "ssh", "flood"]
)
async def test_no_response_is_try_again(collector: FakeCollector, said: bytes) -> None:
    collector.answers = [said, OK]
    relay = relay_to(collector, timeout=2)
    assert await relay.take(BATCH) == TRY_AGAIN
    assert (await relay.take(BATCH)).status == 200


async def test_an_absent_collector_is_try_again(tmp_path: Path) -> None:
    relay = Relay(CollectorAddress.parse(f"unix://{tmp_path}/x"))
    assert await relay.take(BATCH) == TRY_AGAIN
