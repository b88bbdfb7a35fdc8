# SPDX-License-Identifier: Apache-2.0
"""Devices that come while the agent runs: the kernel's uevents.

The rule that nothing is missed: whoever waits is subscribed first, and only
then is sysfs searched for a device that is already there. What arrives in
between is found by the search, by its event, or by both.

pyudev reads the kernel's own messages (no udevd runs in the guest, and libudev
drops what another process sends). It is imported by the first wait.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from kata_agent.blocking import blocking
from kata_agent.errors import Timeout
from kata_agent.system_paths import SystemPaths

if TYPE_CHECKING:
    import pyudev

log = logging.getLogger(__name__)

LIBRARIES: Final = {"udev": "libudev.so.1"}
"""What pyudev loads by name, as the dynamic linker knows it."""
RECEIVE_BUFFER: Final = 1 << 20
"""Bytes of events that the kernel keeps while the loop is busy."""


@dataclass(frozen=True, slots=True)
class Uevent:
    """What the kernel says of a device (kernel, lib/kobject_uevent.c)."""

    action: str
    """`add`, `remove`, `change`, `bind` ..."""
    subsystem: str
    devpath: str
    """The device below `/sys`, as `/devices/pci0000:00/...`."""
    name: str = ""
    """Its node below `/dev` (`vda`, `vfio/3`), or a network interface's name."""


@dataclass(frozen=True, slots=True)
class UeventMatcher:
    """Tells whether an event is of the device that is waited for."""

    description: str
    """The device in words, for the error when it does not come."""
    subsystem: str
    devpath: re.Pattern[str]
    """Has to match the whole path, so that `0:0:0:1` never means `0:0:0:10`."""
    action: str = "add"

    def matches(self, event: Uevent) -> bool:
        return (
            event.action == self.action
            and event.subsystem == self.subsystem
            and self.devpath.fullmatch(event.devpath) is not None
        )


class Monitor(Protocol):
    """A source of uevents: `KernelMonitor`, or a test's own."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is an event."""

    def receive(self) -> Uevent | None:
        """Return the next event without waiting, None when there is no more.

        Raises `OSError` when the kernel had to drop events.
        """


class KernelMonitor:
    """The kernel's uevents, from now on."""

    def __init__(self) -> None:
        import pyudev
        from pyudev._ctypeslib import utils

        # Its own search runs ldconfig and a compiler, which a guest does not have.
        utils.find_library = lambda name: LIBRARIES[name]
        self._monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
        self._monitor.set_receive_buffer_size(RECEIVE_BUFFER)
        self._monitor.start()

    def fileno(self) -> int:
        descriptor: int = self._monitor.fileno()
        return descriptor

    def receive(self) -> Uevent | None:
        device = self._monitor.poll(timeout=0)
        return None if device is None else _to_uevent(device)


def _to_uevent(device: pyudev.Device) -> Uevent:
    properties = device.properties
    node = properties.get("DEVNAME", "").removeprefix("/dev/")
    return Uevent(
        action=device.action or "",
        subsystem=properties.get("SUBSYSTEM", ""),
        devpath=properties.get("DEVPATH", ""),
        name=node or properties.get("INTERFACE", ""),
    )


class Uevents:
    """Listens to the kernel, for all who wait for a device."""

    def __init__(
        self, paths: SystemPaths, monitor: Callable[[], Monitor] = KernelMonitor
    ) -> None:
        self._paths = paths
        self._open_monitor = monitor
        self._monitor: Monitor | None = None
        self._starting = asyncio.Lock()
        self._waiting: dict[asyncio.Future[Uevent], UeventMatcher] = {}
        self._retrying: dict[asyncio.Future[None], UeventMatcher] = {}
        self._searching: set[asyncio.Future[None]] = set()
        self._listeners: list[Callable[[Uevent], None]] = []

    def listen(self, listener: Callable[[Uevent], None]) -> None:
        """Call `listener` with every event from the start of the monitor on."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Open the monitor, if it is not open yet; the first wait does it too."""
        async with self._starting:
            if self._monitor is None:
                # The import alone takes a quarter of a second in a slow guest.
                self._monitor = await blocking(self._open_monitor)
                loop = asyncio.get_running_loop()
                loop.add_reader(self._monitor.fileno(), self._receive)

    def close(self) -> None:
        """Stop listening. Those who wait go on until their timeout."""
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
        """Return the event of a matching device, whether it is there or comes.

        `prompt` is called, in a thread, when the device is not there yet: it
        makes the kernel look for it. Raises `Timeout` after `timeout` seconds.
        """
        await self.start()
        found: asyncio.Future[Uevent] = asyncio.get_running_loop().create_future()
        self._waiting[found] = matcher
        try:
            async with asyncio.timeout(timeout) as limit:
                if present := await blocking(self.find, matcher):
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
        """Make an attempt now and after each matching event, until one succeeds.

        For a device that sysfs does not tell from others. Raises `Timeout` after
        `timeout` seconds, and what `attempt` raises.
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
        """Make one attempt; when it fails, return after the next event."""
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._retrying[changed] = matcher
        try:
            if await attempt():
                return True
            await changed
            return False
        finally:
            del self._retrying[changed]

    def find(self, matcher: UeventMatcher) -> Uevent | None:
        """Search sysfs for a device that is ready to be used. Blocks."""
        for device in self._devices(matcher.subsystem):
            event = self._present(matcher.subsystem, device)
            if event is not None and matcher.matches(event) and self._is_ready(event):
                return event
        return None

    def _devices(self, subsystem: str) -> Iterator[Path]:
        for directory in (
            self._paths.sys / "class" / subsystem,
            self._paths.sys / "bus" / subsystem / "devices",
        ):
            try:
                names = os.listdir(directory)
            except FileNotFoundError:
                continue
            for name in sorted(names):
                yield directory / name

    def _present(self, subsystem: str, device: Path) -> Uevent | None:
        """Return the event that announced `device`, None when it just went."""
        try:
            real = device.resolve(strict=True)
            properties = dict(
                line.partition("=")[::2]
                for line in (real / "uevent").read_text().splitlines()
            )
        except OSError:
            return None
        return Uevent(
            action="add",
            subsystem=subsystem,
            devpath=f"/{real.relative_to(self._paths.sys.resolve())}",
            name=properties.get("DEVNAME") or properties.get("INTERFACE", ""),
        )

    def _is_ready(self, event: Uevent) -> bool:
        """Tell whether the device can be used already.

        A device is in sysfs a moment before it has a node and a disk answers
        (kernel, device_add_disk); its event comes after that. Not ready means
        that the event is still to come.
        """
        if event.subsystem == "net" or not event.name:
            return True
        node = self._paths.dev / event.name
        if event.subsystem != "block":
            return node.exists()
        try:
            os.close(os.open(node, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError:
            return False
        return True

    def _receive(self) -> None:
        """Hand out what has arrived."""
        assert self._monitor is not None
        try:
            while (event := self._monitor.receive()) is not None:
                self._handle_event(event)
        except OSError as error:
            log.warning("uevents were lost: %s", error)
            search = asyncio.ensure_future(self._search_again())
            self._searching.add(search)
            search.add_done_callback(self._searching.discard)

    def _handle_event(self, event: Uevent) -> None:
        log.debug(
            "uevent",
            extra={"action": event.action, "devpath": event.devpath},
        )
        for found, matcher in self._waiting.items():
            if not found.done() and matcher.matches(event):
                found.set_result(event)
        for changed, matcher in self._retrying.items():
            if not changed.done() and matcher.matches(event):
                changed.set_result(None)
        for listener in self._listeners:
            listener(event)

    async def _search_again(self) -> None:
        """Make up for events that the kernel had no room to keep."""
        for changed in self._retrying:
            if not changed.done():
                changed.set_result(None)
        for found, matcher in list(self._waiting.items()):
            event = await blocking(self.find, matcher)
            if event is not None and not found.done():
                found.set_result(event)


def _timeout(seconds: float, matcher: UeventMatcher) -> Timeout:
    return Timeout(f"timeout after {seconds:g}s waiting for {matcher.description}")
