# SPDX-License-Identifier: Apache-2.0
"""Waiting for devices: the kernel's events, handed to every caller that waits.

The rule by which no device is missed: a caller is subscribed first, and only then is
sysfs searched for a device that is already there. A device that comes in between is
found by the search, by its event, or by both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from kata_agent.blocking import blocking
from kata_agent.device.kernel_monitor import KernelMonitor
from kata_agent.device.monitor import Monitor
from kata_agent.device.sysfs_search import find_device
from kata_agent.device.uevent import Uevent
from kata_agent.device.uevent_matcher import UeventMatcher
from kata_agent.errors import Timeout
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)


class Uevents:
    """Listens to the kernel on behalf of all callers that wait for a device."""

    def __init__(
        self, paths: SystemPaths, monitor: Callable[[], Monitor] = KernelMonitor
    ) -> None:
        """`monitor` opens the source of events; it is called in a thread."""
        self._paths = paths
        self._open_monitor = monitor
        self._monitor: Monitor | None = None
        self._monitor_lock = asyncio.Lock()
        self._waiting: dict[asyncio.Future[Uevent], UeventMatcher] = {}
        self._retrying: dict[asyncio.Future[None], UeventMatcher] = {}
        self._searching: set[asyncio.Future[None]] = set()
        self._listeners: list[Callable[[Uevent], None]] = []

    def listen(self, listener: Callable[[Uevent], None]) -> None:
        """Call `listener` with every event from the start of the monitor on."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Open the monitor if it is not open yet. The first wait opens it too."""
        async with self._monitor_lock:
            if self._monitor is None:
                # In a thread: the import of pyudev alone takes a quarter of a second
                # in a slow guest.
                self._monitor = await blocking(self._open_monitor)
                loop = asyncio.get_running_loop()
                loop.add_reader(self._monitor.fileno(), self._receive)

    def close(self) -> None:
        """Stop listening. Calls that wait go on until their timeout."""
        if self._monitor is not None:
            asyncio.get_running_loop().remove_reader(self._monitor.fileno())
            self._monitor = None

    async def wait_for(
        self,
        matcher: UeventMatcher,
        timeout: float,
        *,
        prompt: Callable[[], None] | None = None,
    ) -> Uevent:
        """Return the event of a matching device, whether the device is there or comes.

        If the device is not there yet, `prompt` is called in a thread, to make the
        kernel look for new devices. Raises `Timeout` after `timeout` seconds, and
        whatever `prompt` raises.
        """
        await self.start()
        found: asyncio.Future[Uevent] = asyncio.get_running_loop().create_future()
        self._waiting[found] = matcher
        try:
            async with asyncio.timeout(timeout) as limit:
                if present := await blocking(find_device, self._paths, matcher):
                    return present
                if prompt is not None:
                    await blocking(prompt)
                return await found
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise _timeout(timeout, matcher) from error
        finally:
            del self._waiting[found]

    async def retry(
        self,
        attempt: Callable[[], Awaitable[bool]],
        matcher: UeventMatcher,
        timeout: float,
    ) -> None:
        """Make an attempt now and after each matching event, until one returns True.

        For a device that nothing in sysfs tells from others. Raises `Timeout` after
        `timeout` seconds, and whatever `attempt` raises.
        """
        await self.start()
        try:
            async with asyncio.timeout(timeout) as limit:
                while not await self._attempt(attempt, matcher):
                    pass
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise _timeout(timeout, matcher) from error

    async def _attempt(
        self, attempt: Callable[[], Awaitable[bool]], matcher: UeventMatcher
    ) -> bool:
        """Make one attempt; after a failure, wait for the next event."""
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._retrying[changed] = matcher
        try:
            if await attempt():
                return True
            await changed
            return False
        finally:
            del self._retrying[changed]

    def _receive(self) -> None:
        """Hand out the events that have arrived."""
        assert self._monitor is not None
        try:
            while (event := self._monitor.receive()) is not None:
                self._handle_event(event)
        except OSError as error:
            log.warning("uevents lost", extra={"error": str(error)})
            search = asyncio.ensure_future(self._search_again())
            self._searching.add(search)
            search.add_done_callback(self._searching.discard)

    def _handle_event(self, event: Uevent) -> None:
        log.debug("uevent", extra={"action": event.action, "devpath": event.devpath})
        for found, matcher in self._waiting.items():
            if not found.done() and matcher.matches(event):
                found.set_result(event)
        for changed, matcher in self._retrying.items():
            if not changed.done() and matcher.matches(event):
                changed.set_result(None)
        for listener in self._listeners:
            listener(event)

    async def _search_again(self) -> None:
        """Make up for events that the kernel has dropped, by searching sysfs."""
        for changed in self._retrying:
            if not changed.done():
                changed.set_result(None)
        for found, matcher in list(self._waiting.items()):
            event = await blocking(find_device, self._paths, matcher)
            if event is not None and not found.done():
                found.set_result(event)


def _timeout(seconds: float, matcher: UeventMatcher) -> Timeout:
    return Timeout(f"timeout after {seconds:g}s waiting for {matcher.description}")
