# SPDX-License-Identifier: Apache-2.0
"""Hands batches to a collector, and its responses back to the guest.

Nothing is stored: while the collector is away, the guest is told to try again, and
its own bounded spool is the only queue.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from kata_host.forwarder.collector_address import CollectorAddress
from kata_host.forwarder.received_batch import ReceivedBatch
from kata_host.forwarder.sink import TRY_AGAIN, BatchResponse
from kata_tracing.http1.message import HttpError, HttpMessage, format_request
from kata_tracing.http1.message_reader import MessageReader

log = logging.getLogger(__name__)

TIMEOUT: Final = 5.0
"""Seconds for one batch, connecting included. The guest itself waits for 2."""
MAX_RESPONSE: Final = 64 << 10
"""Bytes of a response's body."""
RELAYED: Final = ("content-type", "retry-after")
"""The headers of the collector's response that the guest gets."""


class Relay:
    """A collector as a sink."""

    def __init__(self, address: CollectorAddress, *, timeout: float = TIMEOUT) -> None:
        self._address = address
        self._timeout = timeout
        self._is_away = False

    async def take(self, batch: ReceivedBatch) -> BatchResponse:
        """Send a batch on; return `TRY_AGAIN` if the collector does not respond."""
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._post(batch)
        except (OSError, TimeoutError, HttpError) as error:
            if not self._is_away:
                reason = str(error) or "no response"
                log.warning("collector %s: %s", self._address, reason)
            self._is_away = True
            return TRY_AGAIN
        if self._is_away:
            log.info("collector %s: responds again", self._address)
        self._is_away = False
        headers = {
            name.title(): message.headers[name]
            for name in RELAYED
            if name in message.headers
        }
        return BatchResponse(message.status, headers, message.body)

    async def _post(self, batch: ReceivedBatch) -> HttpMessage:
        address = self._address
        if address.path:
            reader, writer = await asyncio.open_unix_connection(address.path)
        else:
            reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(
                format_request(
                    address.prefix + batch.format.target,
                    batch.body,
                    batch.content_type,
                    host=address.host,
                )
            )
            await writer.drain()
            messages = MessageReader(max_body=MAX_RESPONSE, response=True)
            message = None
            while message is None:
                data = await reader.read(16 << 10)
                message = messages.feed(data) if data else messages.end()
        finally:
            # Not wait_closed, which would wait until the collector reads the rest.
            writer.transport.abort()
        return message
