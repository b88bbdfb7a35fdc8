# SPDX-License-Identifier: Apache-2.0
"""How a process has ended, in words."""

from __future__ import annotations

import os
import signal


def describe(status: int) -> str:
    """Return `exit status N` or the signal's name for a status of man 2 waitpid."""
    code = os.waitstatus_to_exitcode(status)
    return f"exit status {code}" if code >= 0 else signal.Signals(-code).name
