# SPDX-License-Identifier: Apache-2.0
"""Hands batches to a collector and to a file."""

from __future__ import annotations

import logging

from kata_host.forwarder.received_batch import ReceivedBatch
from kata_host.forwarder.sink import BatchResponse, Sink
from kata_host.log_limit import LogLimit

log = logging.getLogger(__name__)


class Tee:
    """Two sinks as one: the file gets the batches that the collector took.

    The guest gets the collector's response, so that it does not send a batch again
    because of the file.
    """

    def __init__(self, collector: Sink, file: Sink) -> None:
        self._collector = collector
        self._file = file
        self._warnings = LogLimit(log)

    async def take(self, batch: ReceivedBatch) -> BatchResponse:
        response = await self._collector.take(batch)
        if response.is_success:
            copy = await self._file.take(batch)
            if not copy.is_success:
                self._warnings.warning(
                    "batch not written to the file: status %d", copy.status
                )
        return response
