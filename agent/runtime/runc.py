# SPDX-License-Identifier: Apache-2.0
"""runc, for guests that ship it instead of crun."""

from __future__ import annotations

from agent.runtime.cli import CommandLineRuntime


class RuncRuntime(CommandLineRuntime):
    """runc 1.1 or later; cgroupfs is its default."""
