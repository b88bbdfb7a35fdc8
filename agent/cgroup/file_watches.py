# SPDX-License-Identifier: Apache-2.0
"""Changes of cgroupfs files, reported by one inotify descriptor to all watchers.

All share one descriptor, because closing it waits for a grace period of the kernel
(some 15 ms), while removing a single watch does not wait.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from kata_agent.linux.inotify import IN_IGNORED, IN_MODIFY, Inotify


class FileWatches:
    """Calls back when files change. Opens inotify at the first `add`."""

    def __init__(self) -> None:
        self._inotify: Inotify | None = None
        self._callbacks: dict[int, list[Callable[[], None]]] = {}

    def add(self, file: Path, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever `file` changes or goes; return a function to stop.

        Raises `FileNotFoundError` if the file is missing, or another `OSError`.
        """
        if self._inotify is None:
            opened = Inotify()
            try:
                asyncio.get_running_loop().add_reader(opened.fileno(), self._read)
            except OSError:
                opened.close()
                raise
            self._inotify = opened
        inotify = self._inotify
        # The same file has the same number each time (man 2 inotify_add_watch).
        watch = inotify.add_watch(file, IN_MODIFY)
        self._callbacks.setdefault(watch, []).append(callback)

        def stop() -> None:
            callbacks = self._callbacks.get(watch, [])
            if callback not in callbacks:
                return
            callbacks.remove(callback)
            if not callbacks:
                del self._callbacks[watch]
                # If the file has gone, the kernel has removed the watch.
                with contextlib.suppress(OSError):
                    inotify.remove_watch(watch)

        return stop

    def _read(self) -> None:
        assert self._inotify is not None
        for watch, mask in self._inotify.read():
            callbacks = list(self._callbacks.get(watch, []))
            if mask & IN_IGNORED:
                self._callbacks.pop(watch, None)
            for callback in callbacks:
                callback()

    def close(self) -> None:
        """Remove every watch; the next `add` opens inotify again."""
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None
            self._callbacks.clear()
