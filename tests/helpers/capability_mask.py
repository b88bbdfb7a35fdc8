# SPDX-License-Identifier: Apache-2.0
"""Sets of capabilities as /proc/self/status shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NUMBERS: Final = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
    "NET_RAW": 13,
    "SYS_CHROOT": 18,
    "MKNOD": 27,
    "AUDIT_WRITE": 29,
    "SETFCAP": 31,
}
"""linux/capability.h, those that the runtimes ask for."""


def mask(names: Iterable[str]) -> int:
    """Return the set of capabilities as /proc/self/status has it."""
    return sum(1 << NUMBERS[name.removeprefix("CAP_")] for name in names)
