# SPDX-License-Identifier: Apache-2.0
"""Signals that end a program of ours only after it has released what it holds.

The first SIGINT, SIGTERM or SIGHUP raises `Interrupted` in the main thread, or does
what `instead` says; later ones do nothing, because they would interrupt the clean-up.
What must not be torn apart is in a block of `uninterrupted`; in other threads that has
no effect, because Python handles signals in the main thread only.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

from kata_host.interrupted import Interrupted

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """The first signal that has asked this process to end."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._handled: list[signal.Signals] = []
        self._is_raised = False
        self._blocks = 0
        self._instead: list[Callable[[], object]] = []

    def install(self) -> None:
        """Handle the signals that the starter of this process does not ignore."""
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)
                self._handled.append(number)

    def finish(self) -> None:
        """Ignore the signals from now on, because the work is done.

        Also at the interpreter's end, where handlers are taken away.
        """
        for number in self._handled:
            signal.signal(number, signal.SIG_IGN)

    @contextlib.contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Put a signal off to the end of the block."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._blocks += 1
        try:
            yield
        finally:
            self._blocks -= 1
            self._act()

    @contextlib.contextmanager
    def instead(self, action: Callable[[], object]) -> Iterator[None]:
        """Call `action` at a signal during the block, in place of an exception."""
        self._instead.append(action)
        try:
            yield
        finally:
            self._instead.remove(action)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            self.finish()
            self._act()

    def _act(self) -> None:
        """Pass a signal on, once, outside of all blocks."""
        if self.received is None or self._is_raised or self._blocks:
            return
        self._is_raised = True
        if not self._instead:
            raise Interrupted(self.received)
        self._instead[-1]()


INTERRUPTION: Final = Interruption()
"""That of this process; a program installs it, and a library only puts signals off."""
