# SPDX-License-Identifier: Apache-2.0
"""crun, the default runtime: a small program in C."""

from __future__ import annotations

from kata_agent.runtime.runtime import Runtime


class CrunRuntime(Runtime):
    """crun 1.8 or later."""

    # crun's default depends on its build; the agent owns the cgroup tree.
    global_options = ("--cgroup-manager", "cgroupfs")
    # The parent sets the size, and the child goes on meanwhile; 1.8 sets no owner.
    prepares_terminal_late = True
    # crun writes the state to a hook that may not read it, and must survive that. The
    # processes of containers start with the default disposition again.
    sigpipe = False
