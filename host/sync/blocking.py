# SPDX-License-Identifier: Apache-2.0
"""From a method that is awaited to one that blocks, with the same arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from kata_host.sync.loop_thread import LOOP

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")


class Blocking(Generic[A]):
    """An object that does what `inner` does, without asyncio."""

    def __init__(self, inner: A) -> None:
        self.inner = inner
        """The object of `kata_host`, which belongs to another thread's event loop."""


def blocking(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Blocking[A], P], T]:
    """Return a method that calls `method` of the inner object and waits for it."""

    def call(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return LOOP.wait(method(self.inner, *args, **kwargs))

    functools.update_wrapper(call, method)
    return call


def around(
    kind: Callable[[A], T],
) -> Callable[
    [Callable[Concatenate[Any, P], A]], Callable[Concatenate[Blocking[Any], P], T]
]:
    """Return a decorator for a method that returns an object, which `kind` wraps."""

    def decorate(
        method: Callable[Concatenate[Any, P], A],
    ) -> Callable[Concatenate[Blocking[Any], P], T]:
        def call(self: Blocking[Any], /, *args: P.args, **kwargs: P.kwargs) -> T:
            return kind(method(self.inner, *args, **kwargs))

        functools.update_wrapper(call, method)
        return call

    return decorate
