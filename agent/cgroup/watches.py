# SPDX-License-Identifier: Apache-2.0
"""Changes of cgroupfs files, for any number of watchers over one inotify.

One for all, because closing an inotify descriptor waits for a grace period of
the kernel (some 15 ms); taking a single watch off does not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from kata_agent.linux.inotify import IN_IGNORED, IN_MODIFY, Inotify


class Watches:
    """Calls back when files change. Opens its inotify when first needed."""

    def __init__(self) -> None:
        self._inotify: Inotify | None = None
        self._callbacks: dict[int, list[Callable[[], None]]] = {}

    def add(self, file: Path, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever `file` changes or goes; return what stops that.

        Raises `FileNotFoundError` when it is not there.
        """
        if self._inotify is None:
            self._inotify = Inotify()
            loop = asyncio.get_running_loop()
            loop.add_reader(self._inotify.fileno(), self._read)
        inotify = self._inotify
        # The same file gives the same number again (man 2 inotify_add_watch).
        watch = inotify.add_watch(file, IN_MODIFY)
        self._callbacks.setdefault(watch, []).append(callback)

        def stop() -> None:
            callbacks = self._callbacks.get(watch, [])
            if callback not in callbacks:
                return
            callbacks.remove(callback)
            if not callbacks:
                del self._callbacks[watch]
                # Its file may have gone, and the watch with it.
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
        """Take every watch off; the next `add` begins anew."""
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fileno())
            self._inotify.close()
            self._inotify = None
            self._callbacks.clear()
