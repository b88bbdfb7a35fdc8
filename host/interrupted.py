# SPDX-License-Identifier: Apache-2.0
"""The exception of a program that a signal ends: see `interruption.py`."""

from __future__ import annotations

import signal


class Interrupted(KeyboardInterrupt):
    """A signal has asked this process to end."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number
