# SPDX-License-Identifier: Apache-2.0
"""One output of a process on its way to the host, over a connection of its own.

The host may read more slowly than the process writes, and goes on reading after the
process has ended and after its container has been removed. The copy ends in one of
these ways:

    event                                             the host gets
    -----                                             -------------
    the output ends                                   all of it
    the host closes the connection                    what it has read
    the process has ended, and the host has taken     what it has taken
    nothing for `GONE_AFTER` seconds
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from kata_agent.container.output import Output
from kata_agent.container.readiness import Readiness

log = logging.getLogger(__name__)

ANSWER_AFTER: Final = 10.0
"""Seconds after the exit without a byte taken by the host, after which `WaitProcess`
answers though output is left. The copy goes on."""
GONE_AFTER: Final = 60.0
"""Seconds after the exit without a byte taken, after which the host counts as gone."""
_CHUNK: Final = 1 << 18
"""Bytes that are copied at once, at most."""


class StreamCopy:
    """Copies `output` to `connection`, and owns the connection."""

    def __init__(self, output: Output, connection: socket.socket) -> None:
        self.output: Final = output
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._readiness = Readiness(connection.fileno())
        self._settled = asyncio.Event()
        self._taken_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task = self._loop.create_task(self._run())
        self.on_done(self._done)

    @property
    def is_done(self) -> bool:
        return self._task.done()

    def on_done(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the copy has ended."""
        self._task.add_done_callback(lambda _: callback())

    async def wait_for_host(self) -> None:
        """Return when the copy has ended, or the host has stopped taking bytes."""
        await self._settled.wait()

    def process_ended(self) -> None:
        """Wait for the host no longer than the bounds above, from now on."""
        self._taken_at = self._loop.time()
        self._look_at_host()

    def _look_at_host(self) -> None:
        if self.is_done:
            return
        idle = self._loop.time() - self._taken_at
        if idle >= GONE_AFTER:
            log.warning("stream connection closed, the host does not read it")
            self._task.cancel()
            return
        if idle >= ANSWER_AFTER:
            self._settled.set()
        bound = GONE_AFTER if self._settled.is_set() else ANSWER_AFTER
        self._timer = self._loop.call_later(bound - idle, self._look_at_host)

    def cancel(self) -> None:
        """End the copy at once."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while data := await self.output.read(_CHUNK):
                await self._send(memoryview(data))
        except OSError as error:
            # The host has left, and no client reads the rest. The process keeps running
            # and sees a closed pipe, as with `docker attach`.
            log.debug("stream connection ended", extra={"error": str(error)})

    async def _send(self, rest: memoryview) -> None:
        while rest:
            try:
                rest = rest[self._connection.send(rest) :]
                self._taken_at = self._loop.time()
            except BlockingIOError:
                await self._readiness.wait_writable()

    def _done(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._connection.close()
        self.output.close()
        self._settled.set()
