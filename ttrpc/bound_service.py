# SPDX-License-Identifier: Apache-2.0
"""A service together with the handlers that serve it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ttrpc.service import Cardinality, Method, Service, python_names

if TYPE_CHECKING:
    from google.protobuf.descriptor import ServiceDescriptor

SHORT: Final = 5
"""Letters of a name below which one more letter makes another word."""

Handler = Callable[[Any, Any], Any]
"""A function that serves a method.

It is called as `handler(request, context)`, or as `handler(stream, context)` where
either side streams. A plain function returns the response, and must not block; a
coroutine function is awaited for it. A stream's handler is a coroutine function."""


@dataclass(frozen=True, slots=True)
class BoundService:
    """A service and the handlers that serve it; `bind` makes one."""

    service: Service
    """The service that they belong to."""
    handlers: Mapping[str, Handler]
    """By the method's bare name. A method that is absent is UNIMPLEMENTED."""


def bind(
    service: Service | ServiceDescriptor, *implementations: object
) -> BoundService:
    """Find for each method of `service` the one implementation that defines it.

    The handler of `CreateContainer` is the attribute `create_container`. A method
    that only a generated base class defines is not served; one that overrides it is.

    Raises:
        ValueError: two implementations define one method, a streaming method's handler
            is not a coroutine function, a name is almost that of a handler, or two
            methods have handlers of one name.
        TypeError: a handler cannot be called.
    """
    if not isinstance(service, Service):
        service = Service.from_descriptor(service)
    python_names(service.name, service.methods)
    handlers: dict[str, Handler] = {}
    for method in service.methods.values():
        found = [it for it in implementations if _implements(it, method.python_name)]
        if len(found) > 1:
            names = " and ".join(type(it).__name__ for it in found)
            raise ValueError(f"{method.full_method}: implemented by {names}")
        if not found:
            _check_spelling(service, method, implementations)
            continue
        handler: Handler = getattr(found[0], method.python_name)
        if not callable(handler):
            kind = type(handler).__name__
            raise TypeError(f"{method.full_method}: handler is {kind}, not a function")
        if method.cardinality is not Cardinality.UNARY_UNARY and not is_coroutine(
            handler
        ):
            raise ValueError(
                f"{method.full_method}: a stream's handler must be a coroutine "
                "function, `async def` without `yield`"
            )
        handlers[method.name] = handler
    return BoundService(service, handlers)


def is_coroutine(handler: Callable[..., Any]) -> bool:
    """Tell whether calling `handler` gives a coroutine."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004  # an instance may define it async
    )


def _implements(implementation: object, name: str) -> bool:
    for cls in type(implementation).__mro__:
        if name in cls.__dict__:
            return "__ttrpc_service__" not in cls.__dict__
    return hasattr(implementation, name)


def _check_spelling(
    service: Service, method: Method[Any, Any], implementations: Sequence[object]
) -> None:
    """Raise ValueError if a method without a handler has a misspelt one."""
    names = {it.python_name for it in service.methods.values()}
    for implementation in implementations:
        for cls in type(implementation).__mro__:
            for name, value in vars(cls).items():
                if (
                    name not in names
                    and callable(value)
                    and _is_misspelt(name, method.python_name)
                ):
                    raise ValueError(
                        f"{method.full_method}: {cls.__name__}.{name} should be named "
                        f"{method.python_name}"
                    )


def _is_misspelt(name: str, right: str) -> bool:
    """Tell whether a name differs in its case, or in one letter after the first."""
    if name.startswith("_") or name[:1].lower() != right[:1]:
        return False
    name, right = (it.lower().replace("_", "") for it in (name, right))
    if name == right:
        return True
    if len(right) < SHORT or abs(len(name) - len(right)) > 1:
        return False
    start = next(
        (at for at, (a, b) in enumerate(zip(name, right, strict=False)) if a != b),
        min(len(name), len(right)),
    )
    longer = len(name) - len(right)
    return name[start + (longer >= 0) :] == right[start + (longer <= 0) :]
