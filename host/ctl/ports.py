# SPDX-License-Identifier: Apache-2.0
"""Port numbers that guests of `guest start` use, unless told otherwise."""

from __future__ import annotations

from typing import Final

LOG_PORT: Final = 1025
"""The agent's log, on `agent.log_vport`."""
CONSOLE_PORT: Final = 1026
"""The debug console, on `agent.debug_console_vport`."""
SHELL_PORT: Final = 1030
"""Shells with a size and an exit status, on `agent.shell_vport`."""
TRACE_PORT: Final = 10240
"""The host's port that the agent sends its spans to, `agent.trace_vport`."""
