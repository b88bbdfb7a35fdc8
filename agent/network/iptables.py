# SPDX-License-Identifier: Apache-2.0
"""Firewall rules, as `iptables-save` writes and `iptables-restore` reads them."""

from __future__ import annotations

import logging
from typing import Final

from kata_agent.errors import Internal, InvalidArgument
from kata_agent.network.ip import restoring
from kata_agent.reaper import Completed, Reaper

log = logging.getLogger(__name__)

LOCK_TIMEOUT: Final = 5
"""Seconds to wait for another iptables."""
TIMEOUT: Final = 10.0
"""Seconds in all."""


def _program(name: str, *, is_ipv6: bool) -> str:
    return f"ip6tables-{name}" if is_ipv6 else f"iptables-{name}"


async def get_tables(reaper: Reaper, *, is_ipv6: bool) -> bytes:
    """Return all tables. Raises `NotFound` in a guest without iptables."""
    program = _program("save", is_ipv6=is_ipv6)
    result = await reaper.run([program], timeout=TIMEOUT)
    if result.status != 0:
        raise Internal(f"{program}: {_words(result)}")
    return result.stdout


async def set_tables(reaper: Reaper, rules: bytes, *, is_ipv6: bool) -> bytes:
    """Replace the tables that `rules` has; return what the program says.

    Each table changes in one step. When a later one is refused, the earlier ones
    are put back.
    """
    before = await get_tables(reaper, is_ipv6=is_ipv6)
    async with restoring(lambda: _put_back(reaper, before, is_ipv6=is_ipv6)):
        result = await _restore(reaper, rules, is_ipv6=is_ipv6)
        if result.status != 0:
            program = _program("restore", is_ipv6=is_ipv6)
            raise InvalidArgument(f"{program}: {_words(result)}")
        return result.stdout


async def _put_back(reaper: Reaper, before: bytes, *, is_ipv6: bool) -> None:
    now = await get_tables(reaper, is_ipv6=is_ipv6)
    rules = before + _emptied(now, besides=before)
    result = await _restore(reaper, rules, is_ipv6=is_ipv6)
    if result.status != 0:
        log.error("firewall rules not put back: %s", _words(result))


def _emptied(tables: bytes, *, besides: bytes) -> bytes:
    """Return rules that leave nothing of the tables that `besides` does not have."""
    others = set(besides.splitlines())
    lines: list[bytes] = []
    is_new = False
    for line in tables.splitlines():
        if line.startswith(b"*"):
            is_new = line not in others
        # `:INPUT DROP [0:0]` is a chain of the kernel's, `:MINE - [0:0]` a rule set's.
        is_chain = line.startswith(b":") and b" - " not in line
        if is_new and is_chain:
            lines.append(line.split()[0] + b" ACCEPT [0:0]")
        elif is_new and (line.startswith(b"*") or line == b"COMMIT"):
            lines.append(line)
    return b"".join(line + b"\n" for line in lines)


async def _restore(reaper: Reaper, rules: bytes, *, is_ipv6: bool) -> Completed:
    program = _program("restore", is_ipv6=is_ipv6)
    return await reaper.run(
        [program, "--wait", str(LOCK_TIMEOUT)], stdin=rules, timeout=TIMEOUT
    )


def _words(result: Completed) -> str:
    words = result.stderr.decode(errors="replace").strip()
    return words or f"exit status {result.status}"
