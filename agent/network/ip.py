# SPDX-License-Identifier: Apache-2.0
"""iproute2's `ip`: it shows the network as JSON, and changes it by batches of commands.

A batch is one process for any number of changes. The batch stops at the first change
that fails. The changes before that one stay, and the caller undoes them
(`undone_on_failure`). Words of a request become words of a command only after
`kata_agent.network.address`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any, Final

from kata_agent.blocking import blocking
from kata_agent.completed import Completed
from kata_agent.errors import Internal
from kata_agent.network.address import is_interface_name
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)

TIMEOUT: Final = 10.0
"""Seconds for one `ip`. The kernel answers at once unless a driver is stuck."""
SHOW: Final = ("ip", "-json", "-details", "-Numeric")
"""Everything that iproute2 knows, as numbers where it has names of its own."""


class Ip:
    """Runs `ip` in the agent's network namespace."""

    def __init__(self, reaper: Reaper, paths: SystemPaths, reserve: Reserve) -> None:
        """`reserve` is for taking changes back."""
        self.reserve: Final = reserve
        self._reaper = reaper
        self._sysctl_ipv6 = paths.proc / "sys/net/ipv6"

    async def show(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the objects that `ip ARGUMENTS` shows. Raises `Internal`."""
        result = await self._reaper.run([*SHOW, *arguments], timeout=TIMEOUT)
        if result.status != 0:
            raise Internal(f"ip {' '.join(arguments)}: {_reason(result)}")
        try:
            return await blocking(_parse, result.stdout)
        except ValueError as error:
            # The reaper bounds the output, and a container can add entries to the
            # network that it shares with the guest.
            size = len(result.stdout)
            raise Internal(
                f"ip {' '.join(arguments)}: output cut after {size} bytes"
            ) from error

    async def change(self, commands: Sequence[str]) -> None:
        """Run commands in order, each without the leading `ip`.

        Raises `Internal` at the first that fails.
        """
        if commands:
            result = await self._batch(commands)
            if result.status != 0:
                raise Internal(f"{_failed(result, commands)}: {_reason(result)}")

    async def restore(self, commands: Sequence[str]) -> None:
        """Run all commands, although some may fail; log the failures."""
        if commands:
            result = await self._batch(commands, "-force")
            if result.status != 0:
                error = _reason(result)
                log.error("network not restored completely", extra={"error": error})

    def lacks_ipv6(self, link_name: str) -> bool:
        """Tell whether IPv6 is off, for a link or in the whole guest.

        The host cannot know that, and requests both families.
        """
        try:
            switch = self._sysctl_ipv6 / "conf" / link_name / "disable_ipv6"
            return switch.read_text().strip() == "1"
        except FileNotFoundError:
            # If the link is missing, the command that names it fails with that.
            return not self._sysctl_ipv6.exists()

    async def _batch(self, commands: Sequence[str], *options: str) -> Completed:
        text = "".join(f"{command}\n" for command in commands)
        return await self._reaper.run(
            ["ip", *options, "-batch", "-"], stdin=text.encode(), timeout=TIMEOUT
        )


def _parse(output: bytes) -> list[dict[str, Any]]:
    # A name that is not UTF-8 must not spoil the objects beside it.
    shown = json.loads(output.decode(errors="surrogateescape") or "[]")
    # iproute2 prints an empty object for each entry that a filter has left out.
    return [entry for entry in shown if _is_usable(entry)]


def _is_usable(entry: dict[str, Any]) -> bool:
    """Tell whether the link of an entry has a name that a command can hold.

    A link with another name was made by a container, and is hidden.
    """
    device = entry.get("ifname") or entry.get("dev")
    return bool(entry) and (device is None or is_interface_name(device))


def _reason(result: Completed) -> str:
    lines = result.stderr.decode(errors="replace").splitlines()
    reasons = [line for line in lines if not line.startswith("Command failed")]
    return "; ".join(reasons) or f"exit status {result.status}"


def _failed(result: Completed, commands: Sequence[str]) -> str:
    """Return the command that failed: the last line is `Command failed -:3`."""
    _, _, number = result.stderr.decode(errors="replace").strip().rpartition(":")
    if number.isdigit() and 0 < int(number) <= len(commands):
        return f"ip {commands[int(number) - 1]}"
    # Some commands of iproute2 fail without that line.
    return f"ip {commands[0]}" if len(commands) == 1 else "ip"
