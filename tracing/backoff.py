# SPDX-License-Identifier: Apache-2.0
"""How long to wait before the next attempt."""

from __future__ import annotations

import os
from typing import Final

MAX_DOUBLINGS: Final = 20


def backoff(failures: int, *, first: float, last: float) -> float:
    """Return the seconds to wait after `failures` attempts in a row.

    The pause doubles from `first` to `last`, and is then cut by up to a half at random.
    The randomness is the kernel's: clones of one VM snapshot share the state of module
    `random`, and would all come back at the same moment.
    """
    pause = min(last, first * 2.0 ** min(failures, MAX_DOUBLINGS))
    return pause * (0.5 + os.urandom(1)[0] / 510)
