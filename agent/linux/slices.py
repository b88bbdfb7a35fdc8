# SPDX-License-Identifier: Apache-2.0
"""A crowd that is killed in slices, so that other processes get a CPU in time.

Those that die take more than their part of a CPU and leave before they have paid for
it, so the kernel lets others wait until all are gone.
"""

from __future__ import annotations

import select
import time
from typing import Final

from kata_agent.linux.last_place import CROWD

SLICE: Final = 64
"""So many are killed at a time, and the next when the last of them has ended."""
LONGEST_WAIT: Final = 0.05
"""Seconds for one slice, which takes a tenth of it unless the guest is busy."""
LONGEST_KILL: Final = 5.0
"""Seconds for all slices; what is left is killed at once. Clients wait for a kill, and
thousands of processes that wait for a dead disk do not end."""


class Slices:
    """One kill of `count` processes."""

    def __init__(self, count: int) -> None:
        self._is_crowd = count >= CROWD
        self._added = 0
        self._deadline = time.monotonic() + LONGEST_KILL

    def add(self, pidfd: int) -> None:
        """Count a process that has been killed; wait a moment for the last of a slice.

        Of fewer than a crowd, wait for none.
        """
        self._added += 1
        if not self._is_crowd or self._added % SLICE:
            return
        left = min(LONGEST_WAIT, self._deadline - time.monotonic())
        if left > 0:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll(left * 1000)
