# SPDX-License-Identifier: Apache-2.0
"""What has to be done to take back what was made, kept until it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import ParamSpec

P = ParamSpec("P")


class Undo:
    """Steps that take back what was made. The last goes first. Blocks.

    A thing is owned before the next one is made: its step is here by then. Unlike with
    an `ExitStack`, a step that fails stays, with all before it, because these may rest
    on it, and `close` may be called again.
    """

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []
        # A caller may have been cancelled, and its thread goes on.
        self._lock = threading.Lock()

    def callback(
        self, step: Callable[P, object], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Add a step."""
        self._steps.append(partial(step, *args, **kwargs))

    def close(self) -> None:
        """Take every step that is left. Raises the error of the first that fails."""
        with self._lock:
            while self._steps:
                self._steps[-1]()
                self._steps.pop()
