# SPDX-License-Identifier: Apache-2.0
"""Finds the handler of a request, with the interceptors around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from ttrpc.begun import begin
from ttrpc.bound_service import BoundService, Handler, is_coroutine
from ttrpc.call_context import CallContext
from ttrpc.frame import REMOTE_CLOSED, REMOTE_OPEN
from ttrpc.interceptor import Interceptor, Proceed, chain, is_eager
from ttrpc.late_service import LateService
from ttrpc.raw import Raw
from ttrpc.request_decoder import RequestDecoder, UnknownMethod
from ttrpc.service import Cardinality, Method


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A method and its handler, with everything that a call needs looked up before."""

    method: Method[Any, Any]
    """The method, for contexts."""
    is_unary: bool
    """Whether neither side streams."""
    inline: Handler | None
    """Calls the handler, if that can be done directly when a request is received.

    The result is the response, or an awaitable that waits for it."""
    proceed: Proceed
    """Awaits the interceptors and the handler."""
    decode: Callable[[Any], Message | Raw]
    """Parses a payload, bytes or a memoryview, as the request."""
    response_type: type[Message | Raw]
    """The class that a unary handler's result must have."""


class Routes:
    """The routes of one server; its connections share them."""

    def __init__(
        self,
        services: Iterable[BoundService | LateService],
        interceptors: Sequence[Interceptor] = (),
        fallback: Handler | None = None,
    ) -> None:
        """Take the handlers, and one for the methods that have none.

        Raises ValueError when two services have one name, or a handler no method.
        """
        self._interceptors = interceptors
        self._fallback = fallback
        self._late: dict[str, LateService] = {}
        table: dict[tuple[str, str], Route] = {}
        names: set[str] = set()
        for each in services:
            name = each.name if isinstance(each, LateService) else each.service.name
            if name in names:
                raise ValueError(f"service '{name}': bound twice")
            names.add(name)
            if isinstance(each, LateService):
                self._late[name] = each
            else:
                table |= _table(each, interceptors)
        self.service_names = frozenset(names)
        """Full names of the services."""
        self._decoder = RequestDecoder(table)
        self.decode = self._decoder.decode
        """Takes the body of a Request; see `RequestDecoder.decode`."""

    def find(self, unknown: UnknownMethod, flags: int) -> Route | None:
        """Return the route of a method that `decode` does not know, None without one.

        It is of a service that is made now, or the fallback's.
        """
        if late := self._late.get(unknown.service):
            try:
                table = _table(late.open(), self._interceptors, late.name)
            except Exception as error:
                method = Method.raw(unknown.service, unknown.method)
                return _route(method, _failing(error), self._interceptors)
            del self._late[late.name]
            self._decoder.add(table)
            if route := table.get((unknown.service, unknown.method)):
                return route
        return self._fallback_route(unknown, flags)

    def _fallback_route(self, unknown: UnknownMethod, flags: int) -> Route | None:
        """Return the route of a method without a handler.

        The flags of its Request tell which sides stream, as far as a client tells.
        """
        if self._fallback is None:
            return None
        cardinality = Cardinality.UNARY_UNARY
        if flags & REMOTE_OPEN:
            cardinality = Cardinality.STREAM_STREAM
        elif flags & REMOTE_CLOSED:
            cardinality = Cardinality.UNARY_STREAM
        method = Method.raw(unknown.service, unknown.method, cardinality)
        return _route(method, self._fallback, self._interceptors)


def _table(
    bound: BoundService, interceptors: Sequence[Interceptor], expected: str = ""
) -> dict[tuple[str, str], Route]:
    """Return the routes of a service, by its name and the method's.

    Raises ValueError when a handler has no method, or the service another name.
    """
    name = bound.service.name
    if expected and name != expected:
        raise ValueError(f"service '{expected}': is called '{name}'")
    table = {}
    for method_name, handler in bound.handlers.items():
        method = bound.service.methods.get(method_name)
        if method is None:
            raise ValueError(f"service '{name}': has no method {method_name}")
        table[name, method_name] = _route(method, handler, interceptors)
    return table


def _failing(error: Exception) -> Handler:
    def fail(request: Any, context: CallContext) -> Any:
        raise error

    return fail


def _route(
    method: Method[Any, Any], handler: Handler, interceptors: Sequence[Interceptor]
) -> Route:
    is_plain = not is_coroutine(handler)
    innermost = _awaitable(handler, method.response_type) if is_plain else handler
    proceed = chain(interceptors, innermost)
    inline = None
    if is_plain and all(map(is_eager, interceptors)):
        inline = _first_step(proceed) if interceptors else handler
    return Route(
        method=method,
        is_unary=method.cardinality is Cardinality.UNARY_UNARY,
        inline=inline,
        proceed=proceed,
        decode=method.request_type.FromString,
        response_type=method.response_type,
    )


def _awaitable(handler: Handler, response_type: type[Message | Raw]) -> Proceed:
    async def proceed(request: Any, context: CallContext) -> Any:
        response = handler(request, context)
        if type(response) is response_type:
            return response
        return await awaited(response, context)

    return proceed


def _first_step(proceed: Callable[[Any, CallContext], Any]) -> Handler:
    def inline(request: Any, context: CallContext) -> Any:
        return begin(proceed(request, context))

    return inline


async def awaited(response: Any, context: CallContext) -> Any:
    """Return the result of a plain function, awaited if it is awaitable.

    A function that wraps a coroutine function, as functools.partial does, looks plain.
    """
    return await response if isinstance(response, Awaitable) else response
