# SPDX-License-Identifier: Apache-2.0
"""runc, for guests that ship it instead of crun."""

from __future__ import annotations

from kata_agent.runtime.runtime import Runtime


class RuncRuntime(Runtime):
    """runc 1.1 or later, whose default cgroup manager is cgroupfs."""
