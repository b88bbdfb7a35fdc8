# SPDX-License-Identifier: Apache-2.0
"""iproute2's `ip`: JSON out of it, batches of commands into it.

A batch is one process for any number of changes and stops at the first that
fails, but it does not take back those before: whoever runs one puts the network
back (`restoring`). Words from outside go in only after `kata_agent.network.address`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from kata_agent.blocking import blocking
from kata_agent.errors import Internal
from kata_agent.network.address import is_interface_name
from kata_agent.reaper import Completed, Reaper

log = logging.getLogger(__name__)

TIMEOUT: Final = 10.0
"""Seconds for one `ip`: the kernel answers at once, or is stuck in a driver."""
SHOW: Final = ("ip", "-json", "-details", "-Numeric")
"""All there is to know, and numbers where iproute2 has names of its own."""


async def show(reaper: Reaper, *arguments: str) -> list[dict[str, Any]]:
    """Return what `ip ARGUMENTS` shows, one object per thing."""
    result = await reaper.run([*SHOW, *arguments], timeout=TIMEOUT)
    if result.status != 0:
        raise Internal(f"ip {' '.join(arguments)}: {_words(result)}")
    try:
        return await blocking(_parse, result.stdout)
    except ValueError as error:
        # More than the reaper keeps: containers share this network.
        size = len(result.stdout)
        raise Internal(f"ip {' '.join(arguments)}: cut after {size} bytes") from error


async def change(reaper: Reaper, commands: Sequence[str]) -> None:
    """Run commands in order, without the leading `ip`; raise at the first failure."""
    if commands:
        result = await _batch(reaper, commands)
        if result.status != 0:
            raise Internal(f"{_failed(result, commands)}: {_words(result)}")


async def put_back(reaper: Reaper, commands: Sequence[str]) -> None:
    """Run all commands, whatever fails; what fails is logged."""
    if commands:
        result = await _batch(reaper, commands, "-force")
        if result.status != 0:
            log.error("network not fully put back: %s", _words(result))


@asynccontextmanager
async def restoring(restore: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Call `restore` when the block fails or is cancelled, and see it through."""
    try:
        yield
    except BaseException:
        restoring = asyncio.ensure_future(restore())
        try:
            await asyncio.shield(restoring)
        except asyncio.CancelledError:
            await restoring
            raise
        raise


def _parse(output: bytes) -> list[dict[str, Any]]:
    # A name that is no UTF-8 spoils nothing but itself.
    shown = json.loads(output.decode(errors="surrogateescape") or "[]")
    # It prints an empty object for each thing that a filter has left out.
    return [thing for thing in shown if _is_usable(thing)]


def _is_usable(thing: dict[str, Any]) -> bool:
    """Tell whether a link, or what a route or neighbour is on, is ours to change.

    Others are some container's, and hidden.
    """
    device = thing.get("ifname") or thing.get("dev")
    return bool(thing) and (device is None or is_interface_name(device))


async def _batch(reaper: Reaper, commands: Sequence[str], *options: str) -> Completed:
    text = "".join(f"{command}\n" for command in commands)
    return await reaper.run(
        ["ip", *options, "-batch", "-"], stdin=text.encode(), timeout=TIMEOUT
    )


def _words(result: Completed) -> str:
    lines = result.stderr.decode(errors="replace").splitlines()
    words = [line for line in lines if not line.startswith("Command failed")]
    return "; ".join(words) or f"exit status {result.status}"


def _failed(result: Completed, commands: Sequence[str]) -> str:
    """Return the command that failed: the last line says `Command failed -:3`."""
    _, _, number = result.stderr.decode(errors="replace").strip().rpartition(":")
    if number.isdigit() and 0 < int(number) <= len(commands):
        return f"ip {commands[int(number) - 1]}"
    # Some of its commands end it without that line.
    return f"ip {commands[0]}" if len(commands) == 1 else "ip"
