# SPDX-License-Identifier: Apache-2.0
"""Hands batches to a collector, and its answers back to the guest.

Nothing is stored: while the collector is away the guest is told to come again,
and its own bounded spool is the only queue.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from kata_host.forwarder.batch import AGAIN, Answer, Batch
from kata_tracing import http1

log = logging.getLogger(__name__)

TIMEOUT: Final = 5.0
"""Seconds for one batch, connecting included. The guest itself waits for 2."""
MAX_ANSWER: Final = 64 << 10
RELAYED: Final = ("content-type", "retry-after")
"""The headers of the answer that the guest gets to see."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a collector listens."""

    host: str
    port: int
    path: str = ""
    """Of a unix socket, in place of host and port."""
    prefix: str = ""
    """Before `/v1/traces`."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `http://host[:port][/prefix]` or `unix:///path`. Raises `ValueError`."""
        parts = urlsplit(url)
        if parts.scheme == "unix" and parts.path and not parts.netloc:
            return cls("localhost", 0, path=parts.path)
        if parts.scheme != "http" or not parts.hostname or parts.query:
            raise ValueError(f"collector {url!r}: neither http://HOST:PORT nor unix://")
        return cls(parts.hostname, parts.port or 4318, prefix=parts.path.rstrip("/"))

    def __str__(self) -> str:
        return f"unix://{self.path}" if self.path else f"{self.host}:{self.port}"


class Relay:
    """A collector as a sink."""

    def __init__(self, target: Target, *, timeout: float = TIMEOUT) -> None:
        self._target = target
        self._timeout = timeout
        self._is_away = False

    async def take(self, batch: Batch) -> Answer:
        """Send a batch on; 503 when the collector does not answer (`Sink`)."""
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._post(batch)
        except (OSError, TimeoutError, http1.HttpError) as error:
            if not self._is_away:
                log.warning("collector %s: %s", self._target, error or "no answer")
            self._is_away = True
            return AGAIN
        if self._is_away:
            log.info("collector %s: is back", self._target)
        self._is_away = False
        return answer

    async def _post(self, batch: Batch) -> Answer:
        target = self._target
        if target.path:
            reader, writer = await asyncio.open_unix_connection(target.path)
        else:
            reader, writer = await asyncio.open_connection(target.host, target.port)
        try:
            writer.write(
                http1.request(
                    target.prefix + batch.route.target,
                    batch.body,
                    batch.content_type,
                    host=target.host,
                )
            )
            await writer.drain()
            messages = http1.MessageReader(max_body=MAX_ANSWER, response=True)
            message = None
            while message is None:
                data = await reader.read(16 << 10)
                message = messages.feed(data) if data else messages.end()
        finally:
            # Not wait_closed: it would wait for what the collector never reads.
            writer.transport.abort()
        headers = {
            name.title(): message.headers[name]
            for name in RELAYED
            if name in message.headers
        }
        return Answer(message.status, headers, message.body)
