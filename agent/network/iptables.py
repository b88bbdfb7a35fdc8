# SPDX-License-Identifier: Apache-2.0
"""Firewall rules, as `iptables-save` writes and `iptables-restore` reads them."""

from __future__ import annotations

import logging
from typing import Final

from kata_agent.completed import Completed
from kata_agent.errors import Internal, InvalidArgument
from kata_agent.network.undo import undone_on_failure
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve

log = logging.getLogger(__name__)

LOCK_TIMEOUT: Final = 5
"""Seconds to wait while another iptables holds the kernel's tables."""
TIMEOUT: Final = 10.0
"""Seconds for one program, with the wait for the lock."""


class Iptables:
    """The tables of one address family."""

    def __init__(self, reaper: Reaper, program: str, reserve: Reserve) -> None:
        """`program` is `iptables` or `ip6tables`, for IPv4 or IPv6.

        `reserve` is for taking changes back.
        """
        self._reserve = reserve
        self._reaper = reaper
        self._save = f"{program}-save"
        self._restore = f"{program}-restore"

    async def read(self) -> bytes:
        """Return all tables. Raises `NotFound` in a guest without iptables."""
        result = await self._reaper.run([self._save], timeout=TIMEOUT)
        if result.status != 0:
            raise Internal(f"{self._save}: {_reason(result)}")
        return result.stdout

    async def replace(self, rules: bytes) -> bytes:
        """Replace the tables that `rules` has; return the output of the program.

        Each table changes in one step. If a later table is refused, the earlier ones
        are put back. Raises `InvalidArgument`, and `NotFound` as `read` does.
        """
        before = await self.read()
        async with undone_on_failure(lambda: self._put_back(before), self._reserve):
            result = await self._load(rules)
            if result.status != 0:
                raise InvalidArgument(f"{self._restore}: {_reason(result)}")
            return result.stdout

    async def _put_back(self, before: bytes) -> None:
        now = await self.read()
        result = await self._load(before + _emptied(now, besides=before))
        if result.status != 0:
            error = _reason(result)
            log.error("firewall rules not restored", extra={"error": error})

    async def _load(self, rules: bytes) -> Completed:
        return await self._reaper.run(
            [self._restore, "--wait", str(LOCK_TIMEOUT)], stdin=rules, timeout=TIMEOUT
        )


def _emptied(tables: bytes, *, besides: bytes) -> bytes:
    """Return rules that empty those of `tables` that `besides` does not have."""
    others = set(besides.splitlines())
    lines: list[bytes] = []
    is_new = False
    for line in tables.splitlines():
        if line.startswith(b"*"):
            is_new = line not in others
        # `:INPUT DROP [0:0]` is a chain of the kernel, `:MINE - [0:0]` one of rules.
        is_chain = line.startswith(b":") and b" - " not in line
        if is_new and is_chain:
            lines.append(line.split()[0] + b" ACCEPT [0:0]")
        elif is_new and (line.startswith(b"*") or line == b"COMMIT"):
            lines.append(line)
    return b"".join(line + b"\n" for line in lines)


def _reason(result: Completed) -> str:
    text = result.stderr.decode(errors="replace").strip()
    return text or f"exit status {result.status}"
