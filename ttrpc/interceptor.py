# SPDX-License-Identifier: Apache-2.0
"""Interceptors wrap calls, on the server and on the client, unary or streaming.

    async def timed(request, context, proceed):
        started = time.monotonic()
        try:
            return await proceed(request, context)
        finally:
            log(context.method.full_method, time.monotonic() - started)

`request` is the request message. On a server it is the stream where either side
streams; on a client it is None where the client streams, and `proceed` returns the
stream. A client sends `context.metadata` with the request, so an interceptor may add
to it.

A server runs interceptors in a task for each call. Where the handler is a plain
function and all interceptors are marked `@eager`, a call that does not wait needs none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from ttrpc.bound_service import is_coroutine
from ttrpc.call_context import CallContext

Proceed = Callable[[Any, CallContext], Awaitable[Any]]
"""Continues the call: calls the next interceptor, or the handler."""

Interceptor = Callable[[Any, CallContext, Proceed], Awaitable[Any]]
"""Called with `(request, context, proceed)`; returns the response."""

InterceptorT = TypeVar("InterceptorT", bound=Interceptor)
R = TypeVar("R")


def eager(interceptor: InterceptorT) -> InterceptorT:
    """Mark an interceptor of servers that needs no task as long as nothing waits.

    Where the handler of a call is a plain function and all interceptors are eager, the
    call runs when its request is received, as it does without interceptors. If it has
    to wait, it gets a task and goes on there. Until then there is no current task, so
    an eager interceptor must not use `asyncio.timeout` or `asyncio.TaskGroup`.

    Raises:
        TypeError: `interceptor` is no coroutine function.
    """
    if not is_coroutine(interceptor):
        name = getattr(interceptor, "__qualname__", repr(interceptor))
        raise TypeError(f"interceptor {name}: not a coroutine function")
    interceptor.is_eager = True  # type: ignore[attr-defined]
    return interceptor


def is_eager(interceptor: Interceptor) -> bool:
    """Tell whether an interceptor is marked by `eager`."""
    return getattr(interceptor, "is_eager", False)


def chain(
    interceptors: Sequence[
        Callable[[Any, CallContext, Callable[[Any, CallContext], R]], R]
    ],
    innermost: Callable[[Any, CallContext], R],
) -> Callable[[Any, CallContext], R]:
    """Wrap `innermost` in `interceptors`; the first of them is outermost."""
    proceed = innermost
    for interceptor in reversed(interceptors):
        proceed = _link(interceptor, proceed)
    return proceed


def _link(
    interceptor: Callable[[Any, CallContext, Callable[[Any, CallContext], R]], R],
    proceed: Callable[[Any, CallContext], R],
) -> Callable[[Any, CallContext], R]:
    def call(request: Any, context: CallContext) -> R:
        result = interceptor(request, context, proceed)
        if result is None:
            # As a rule `return` is missing before `proceed`, or `async` before `def`.
            name = getattr(interceptor, "__qualname__", repr(interceptor))
            raise TypeError(f"interceptor {name}: returned nothing")
        return result

    return call
