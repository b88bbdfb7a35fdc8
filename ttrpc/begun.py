# SPDX-License-Identifier: Apache-2.0
"""A coroutine that has run up to its first wait, outside of any task.

Most calls of a plain handler never wait, so they need no task, also with interceptors
(`ttrpc.interceptor.eager`). One that does goes on in a task, from where it is.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

_GIVEN: Final = object()


def begin(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine up to its first wait; return its result, or else a `Begun`."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        return end.value
    return Begun(coroutine, waits_for)


class Begun(Coroutine[Any, Any, Any]):
    """The rest of a coroutine: to be run by a task, or awaited."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: object) -> None:
        """`waits_for` is what the coroutine's first step gave, as a rule a future."""
        self._coroutine = coroutine
        self._waits_for = waits_for

    def send(self, value: Any) -> Any:
        """Give what the coroutine waits for; from then on, go on with it."""
        waits_for, self._waits_for = self._waits_for, _GIVEN
        return self._coroutine.send(value) if waits_for is _GIVEN else waits_for

    def throw(self, *error: Any) -> Any:
        """Raise an error where the coroutine waits."""
        self._waits_for = _GIVEN
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """End the coroutine where it waits."""
        self._coroutine.close()

    def __await__(self) -> Begun:
        return self

    def __iter__(self) -> Begun:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def __getattr__(self, name: str) -> Any:
        # Debuggers and `Task.get_stack` ask for `cr_frame` and the like.
        return getattr(self._coroutine, name)
