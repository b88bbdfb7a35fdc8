# SPDX-License-Identifier: Apache-2.0
"""How long the kernel may take with processes that were killed."""

from __future__ import annotations

from typing import Final

PAUSES: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between looks for what they leave: a process that is killed finishes its
system call first, and leaves its cgroup a moment after it was reaped."""
