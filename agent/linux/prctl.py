# SPDX-License-Identifier: Apache-2.0
"""Attributes of the calling process (man 2 prctl, man 5 proc)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kata_agent.linux import libc

PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NAME: Final = 15
CAP_SYS_RESOURCE: Final = 24
"""linux/capability.h; needed to raise a hard resource limit."""


def set_child_subreaper(*, on: bool = True) -> None:
    """Become the parent of every descendant whose own parent dies, or of no other."""
    libc.call("prctl", PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def set_process_name(name: str) -> None:
    """Set the name in `/proc/self/comm`, which ps and pgrep show; at most 15 bytes."""
    libc.call("prctl", PR_SET_NAME, name.encode(), 0, 0, 0)


def has_capability(number: int, proc: Path = Path("/proc")) -> bool:
    """Tell whether capability `number` is in this process's effective set."""
    return bool(effective_capabilities(proc) & 1 << number)


def effective_capabilities(proc: Path = Path("/proc")) -> int:
    """Return this process's effective set: bit n is capability n."""
    for line in (proc / "self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
