# SPDX-License-Identifier: Apache-2.0
"""Shows the steps of a long task: how far each is, and how long it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

_WIDTH: Final = 24


class Progress:
    """One line a step: rewritten in place on a terminal, otherwise printed once."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._name = ""
        self._started = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show `name` while the block runs, and how many seconds it took afterwards."""
        self._name = name
        self._started = time.monotonic()
        self._show("")
        yield
        self._print(
            f"{name:{_WIDTH}} {time.monotonic() - self._started:6.1f} s", end="\n"
        )

    def update(self, done: int, total: int) -> None:
        """Show that `done` of `total` parts of the step are done."""
        bar = "#" * (20 * done // max(total, 1))
        self._show(f"[{bar:20}] {done}/{total}")

    def note(self, text: str) -> None:
        """Print a line of its own."""
        self._print(text, end="\n")

    def _show(self, text: str) -> None:
        if self._live:
            self._print(f"{self._name:{_WIDTH}} {text}", end="")

    def _print(self, text: str, *, end: str) -> None:
        start, clear = ("\r", "\033[K") if self._live else ("", "")
        print(f"{start}{text}{clear}", end=end, file=self._stream, flush=True)
