# SPDX-License-Identifier: Apache-2.0
"""The file gets the batches that the collector took."""

from __future__ import annotations

import logging

import pytest

from kata_host.forwarder.received_batch import OTLP, ReceivedBatch
from kata_host.forwarder.sink import TAKEN, TRY_AGAIN, BatchResponse
from kata_host.forwarder.tee import Tee

BATCH = ReceivedBatch(OTLP, "application/x-protobuf", b"body", "guest")
FULL = BatchResponse(507)


class Sink:
    """Keeps batches, and gives each the same response."""

    def __init__(self, response: BatchResponse) -> None:
        self.batches: list[ReceivedBatch] = []
        self._response = response

    async def take(self, batch: ReceivedBatch) -> BatchResponse:
        self.batches.append(batch)
        return self._response


async def test_both_get_a_batch() -> None:
    collector, file = Sink(TAKEN), Sink(TAKEN)
    assert await Tee(collector, file).take(BATCH) is TAKEN
    assert collector.batches == file.batches == [BATCH]


async def test_a_batch_that_comes_again_is_not_written_twice() -> None:
    collector, file = Sink(TRY_AGAIN), Sink(TAKEN)
    assert await Tee(collector, file).take(BATCH) is TRY_AGAIN
    assert not file.batches


async def test_a_full_file_is_logged_and_no_matter_of_the_guest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert await Tee(Sink(TAKEN), Sink(FULL)).take(BATCH) is TAKEN
    assert "not written to the file: status 507" in caplog.text
