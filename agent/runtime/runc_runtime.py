# SPDX-License-Identifier: Apache-2.0
"""runc, for guests that ship it instead of crun."""

from __future__ import annotations

from kata_agent.runtime.command_line_runtime import CommandLineRuntime


class RuncRuntime(CommandLineRuntime):
    """runc 1.1 or later; cgroupfs is its default."""
