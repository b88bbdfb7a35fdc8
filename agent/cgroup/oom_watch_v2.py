# SPDX-License-Identifier: Apache-2.0
"""OOM kills of version 2: the file `memory.events`, whose changes inotify reports.

Its `oom_kill` counts the kills of the whole subtree (kernel,
Documentation/admin-guide/cgroup-v2.rst).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kata_agent.cgroup.file_watches import FileWatches
from kata_agent.cgroup.files import read_flat_keyed, read_text


class OomWatchV2:
    """Calls `on_kill` once for each kill, until `stop`."""

    def __init__(
        self, directory: Path, watches: FileWatches, on_kill: Callable[[], None]
    ) -> None:
        """`directory` is the cgroup's; one without `memory.events` is fine."""
        self._file = directory / "memory.events"
        self._on_kill = on_kill
        self._reported = 0
        self._stop: Callable[[], None] | None = None
        if read_text(self._file) is not None:
            self._stop = watches.add(self._file, self._report)
            self._report()

    def stop(self) -> None:
        """Report the last kills and end the watch."""
        if self._stop is not None:
            # The kernel spaces its notifications by 10 ms, so the last kills may be
            # newer than the last one.
            self._report()
            self._stop()
            self._stop = None

    def _report(self) -> None:
        kills = read_flat_keyed(self._file).get("oom_kill", self._reported)
        while self._reported < kills:
            self._reported += 1
            self._on_kill()
