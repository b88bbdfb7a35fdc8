# SPDX-License-Identifier: Apache-2.0
"""The freezer of version 1 (kernel: Documentation/admin-guide/cgroup-v1/).

A cgroup is frozen by its own state or by that of a cgroup above, and a frozen process
dies only after the thaw, SIGKILL or not. A container that may write its cgroup can
freeze a cgroup below. All functions block.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from kata_agent.cgroup import tree
from kata_agent.cgroup.files import GONE, read_text, write
from kata_agent.errors import InvalidState, Timeout, Unavailable

LONGEST_PAUSE: Final = 0.02
"""Seconds between two looks at the state, for which version 1 has no event."""
ATTEMPTS_UNTIL_THAW: Final = 20


class FreezerV1:
    """One cgroup in the hierarchy of the freezer. Needs no lock."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name = directory.name

    @property
    def _state(self) -> Path:
        return self._directory / "freezer.state"

    def freeze(self, timeout: float, goes_on: Callable[[], bool]) -> None:
        """Stop every process, and return when the kernel reports it.

        Raises `Timeout` after `timeout` seconds, `InvalidState` as soon as `goes_on`
        returns False, and `Unavailable` without a freezer. The processes go on then.
        """
        self._check()
        try:
            self._freeze(time.monotonic() + timeout, goes_on)
        except TimeoutError:
            self.thaw()
            raise Timeout(
                f"cgroup {self._name!r}: not frozen within {timeout} s"
            ) from None
        except BaseException:
            self.thaw()
            raise

    def _freeze(self, deadline: float, goes_on: Callable[[], bool]) -> None:
        self._set("FROZEN")
        pause = 0.0005
        for attempt in itertools.count(1):
            if not goes_on():
                raise InvalidState(f"cgroup {self._name!r}: killed, cannot be frozen")
            if (read_text(self._state) or "FROZEN").strip() == "FROZEN":
                return
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            if attempt % ATTEMPTS_UNTIL_THAW == 0:
                # A freeze can get stuck half-way (kernel before ef9fe980c6fc,
                # cgroups/freezer-subsystem.txt: "retry or thaw").
                self._set("THAWED")
            # A second write freezes processes that were forked meanwhile.
            self._set("FROZEN")

    def thaw(self) -> None:
        """Let the processes go on, except for those in a cgroup that is frozen itself.

        Raises `Unavailable` without a freezer.
        """
        self._check()
        self._set("THAWED")

    def thaw_all(self) -> None:
        """Let every process go on, whichever cgroup of the tree was frozen."""
        with closing(tree.walk(self._directory)) as directories:
            for directory in directories:
                own = tree.read_file(directory, "freezer.self_freezing") or ""
                if own.strip() == "1":
                    # Each write goes through all cgroups below.
                    tree.write_file(directory, "freezer.state", "THAWED")

    def _set(self, state: str) -> None:
        try:
            write(self._state, state)
        except OSError as error:
            # No process is left in a cgroup that is gone.
            if error.errno not in GONE:
                raise

    def _check(self) -> None:
        if not self._state.exists():
            raise Unavailable(f"cgroup {self._name!r}: no freezer")
