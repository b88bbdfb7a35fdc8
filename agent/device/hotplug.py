# SPDX-License-Identifier: Apache-2.0
"""Hotplug: all that a driver needs to find its device, or to wait for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from kata_agent.device.uevent import Uevent
from kata_agent.device.uevent_matcher import UeventMatcher
from kata_agent.device.uevents import Uevents
from kata_agent.system_paths import SystemPaths
from kata_tracing import semconv
from kata_tracing.span import span


@dataclass(frozen=True, slots=True)
class Hotplug:
    """Waits for devices, each wait with a span and with the configured timeout."""

    paths: SystemPaths
    uevents: Uevents
    timeout: float
    """Seconds: `agent.hotplug_timeout`."""

    async def wait_for(
        self, matcher: UeventMatcher, *, prompt: Callable[[], None] | None = None
    ) -> Uevent:
        """Return the event of a matching device; see `Uevents.wait_for`."""
        with span(
            "device.wait",
            {semconv.UEVENT_SUBSYSTEM: matcher.subsystem},
            subsystem="device",
        ) as step:
            event = await self.uevents.wait_for(matcher, self.timeout, prompt=prompt)
            step.set_attribute(semconv.UEVENT_PATH, event.devpath)
            step.set_attribute(semconv.UEVENT_NAME, event.name)
            return event

    async def wait_for_node(
        self, matcher: UeventMatcher, *, prompt: Callable[[], None] | None = None
    ) -> Path:
        """Return the node in `/dev` of a matching device; see `Uevents.wait_for`."""
        event = await self.wait_for(matcher, prompt=prompt)
        return self.paths.dev / event.name

    async def retry(
        self, attempt: Callable[[], Awaitable[bool]], matcher: UeventMatcher
    ) -> None:
        """Make attempts until one returns True; see `Uevents.retry`."""
        with span(
            "device.wait",
            {semconv.UEVENT_SUBSYSTEM: matcher.subsystem},
            subsystem="device",
        ):
            await self.uevents.retry(attempt, matcher, self.timeout)
