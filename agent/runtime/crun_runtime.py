# SPDX-License-Identifier: Apache-2.0
"""crun, the default runtime: small, in C, one process per call."""

from __future__ import annotations

from kata_agent.runtime.command_line_runtime import CommandLineRuntime


class CrunRuntime(CommandLineRuntime):
    """crun 1.8 or later."""

    # The default depends on how crun was built; the agent owns the cgroup tree.
    global_options = ("--cgroup-manager", "cgroupfs")
    # It writes the state to a hook that may not read it, and must survive that.
    # What it runs in containers starts with the default again.
    sigpipe = False
