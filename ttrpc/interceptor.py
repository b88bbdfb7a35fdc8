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
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from ttrpc.call_context import CallContext

Proceed = Callable[[Any, CallContext], Awaitable[Any]]
"""Continues the call: calls the next interceptor, or the handler."""

Interceptor = Callable[[Any, CallContext, Proceed], Awaitable[Any]]
"""Called with `(request, context, proceed)`; returns the response."""

R = TypeVar("R")


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
