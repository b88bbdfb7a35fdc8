# SPDX-License-Identifier: Apache-2.0
"""crun, the default runtime: a small program in C."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kata_agent.linux.spawn import DEFAULT_ENVIRONMENT
from kata_agent.runtime.crun_state import release_init, remove_state
from kata_agent.runtime.read_only_program import read_only_program
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
    # Unless the program is on a read-only mount, crun mounts it on a file in this
    # directory for a moment. A crun that is killed then leaves the mount. Where crun
    # can make no file, it runs from a memfd, which ends with the process.
    environment: ClassVar[Mapping[str, str]] = {
        **DEFAULT_ENVIRONMENT,
        "_LIBCONTAINER_STATEDIR": "/dev/null",
    }

    def executable(self) -> str:
        return read_only_program(self._program)

    def is_itself(self) -> bool:
        """Tell whether the program is crun, and not a script around it."""
        return self.executable() != self._program

    async def start(self, container_id: str) -> None:
        """Do what `crun start` does; crun itself says why that is not possible."""
        if self.is_itself():
            with self._step("start", container_id):
                if release_init(self._state / container_id):
                    return
        await super().start(container_id)

    def forget(self, container_id: str) -> bool:
        if not self.is_itself():
            return False
        with self._step("delete", container_id):
            return remove_state(self._state / container_id)
