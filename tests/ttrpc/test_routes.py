# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from tests.helpers.peer import ECHO
from ttrpc.bound_service import BoundService, Handler
from ttrpc.call_context import CallContext
from ttrpc.envelope_pb2 import Request
from ttrpc.frame import NO_DATA, REMOTE_CLOSED, REMOTE_OPEN
from ttrpc.interceptor import eager
from ttrpc.late_service import LateService
from ttrpc.request_decoder import UnknownMethod
from ttrpc.routes import Route, Routes
from ttrpc.service import Cardinality, Method, Service

SERVICE = Service("peer.v1.Echo", ECHO)
CONTEXT = CallContext(ECHO["Echo"])
HI = BytesValue(value=b"hi")


def plain(request: BytesValue, context: CallContext) -> BytesValue:
    return request


async def coroutine(request: BytesValue, context: CallContext) -> BytesValue:
    return request


def disguised(request: BytesValue, context: CallContext) -> Any:
    return coroutine(request, context)


def route(handler: Handler, *interceptors: Any, method: str = "Echo") -> Route:
    routes = Routes([BoundService(SERVICE, {method: handler})], interceptors)
    body = Request(service=SERVICE.name, method=method).SerializeToString()
    found, *_ = routes.decode(body)
    assert isinstance(found, Route)
    return found


def test_a_plain_function_can_be_called_at_once() -> None:
    found = route(plain)
    assert found.inline is plain
    assert found.is_unary
    assert found.decode(HI.SerializeToString()) == HI


def test_a_coroutine_function_needs_a_task() -> None:
    assert route(coroutine).inline is None
    assert not route(coroutine, method="EchoStream").is_unary


@pytest.mark.parametrize("handler", [plain, coroutine, disguised])
async def test_interceptors_wrap_every_kind_of_handler(handler: Handler) -> None:
    seen = []

    async def interceptor(request: Any, context: CallContext, proceed: Any) -> Any:
        seen.append(request)
        return await proceed(request, context)

    found = route(handler, interceptor)
    assert found.inline is None
    assert await found.proceed(HI, CONTEXT) == HI
    assert seen == [HI]


@eager
async def passes_on(request: Any, context: CallContext, proceed: Any) -> Any:
    return await proceed(request, context)


async def takes_a_task(request: Any, context: CallContext, proceed: Any) -> Any:
    return await proceed(request, context)


def test_eager_interceptors_leave_a_plain_function_at_once() -> None:
    found = route(plain, passes_on, passes_on)
    assert found.inline is not None
    assert found.inline(HI, CONTEXT) == HI
    assert route(plain, passes_on, takes_a_task).inline is None
    assert route(coroutine, passes_on).inline is None


async def test_what_waits_behind_eager_interceptors_can_be_awaited() -> None:
    async def later(request: BytesValue, context: CallContext) -> BytesValue:
        await asyncio.sleep(0)
        return request

    found = route(lambda request, context: later(request, context), passes_on)
    assert found.inline is not None
    assert await found.inline(HI, CONTEXT) == HI


def test_a_service_is_bound_once() -> None:
    bound = BoundService(SERVICE, {})
    with pytest.raises(ValueError, match="^service 'peer.v1.Echo': bound twice$"):
        Routes([bound, bound])
    assert Routes([bound]).service_names == {"peer.v1.Echo"}


def test_a_handler_serves_a_method_of_its_service() -> None:
    bound = BoundService(Service("a.B", {}), {"C": plain})
    with pytest.raises(ValueError, match="^service 'a.B': has no method C$"):
        Routes([bound])


@pytest.mark.parametrize(
    ("flags", "cardinality"),
    [
        (0, Cardinality.UNARY_UNARY),
        (REMOTE_CLOSED, Cardinality.UNARY_STREAM),
        (REMOTE_OPEN, Cardinality.STREAM_STREAM),
        (REMOTE_OPEN | NO_DATA, Cardinality.STREAM_STREAM),
    ],
)
def test_the_fallback_serves_what_no_handler_serves(
    flags: int, cardinality: Cardinality
) -> None:
    unknown = UnknownMethod("a.B", "C")
    found = Routes([], fallback=plain).find(unknown, flags)
    assert found is not None
    assert found.method == Method.raw("a.B", "C", cardinality)
    assert found.is_unary is (cardinality is Cardinality.UNARY_UNARY)
    assert found.inline is plain


def test_without_a_fallback_there_is_none() -> None:
    assert Routes([]).find(UnknownMethod("a.B", "C"), 0) is None


def late_routes(open: Any) -> Routes:
    return Routes([LateService(SERVICE.name, open)])


def test_a_late_service_is_made_by_the_first_request_for_it() -> None:
    made = []

    def open() -> BoundService:
        made.append(1)
        return BoundService(SERVICE, {"Echo": plain})

    routes = late_routes(open)
    assert routes.service_names == {SERVICE.name}
    body = Request(service=SERVICE.name, method="Echo").SerializeToString()
    unknown, *_ = routes.decode(body)
    assert isinstance(unknown, UnknownMethod)
    assert routes.find(UnknownMethod("other.Service", "Echo"), 0) is None
    assert not made
    found = routes.find(unknown, 0)
    assert found is not None
    assert found.inline is plain
    assert routes.decode(body)[0] is found
    assert routes.find(UnknownMethod(SERVICE.name, "Nope"), 0) is None
    assert made == [1]


async def test_a_late_service_that_cannot_be_made_fails_that_call_alone() -> None:
    failures = [OSError("too many open files")]

    def open() -> BoundService:
        if failures:
            raise failures.pop()
        return BoundService(SERVICE, {"Echo": plain})

    routes = late_routes(open)
    unknown = UnknownMethod(SERVICE.name, "Echo")
    failed = routes.find(unknown, 0)
    assert failed is not None
    assert failed.is_unary
    with pytest.raises(OSError, match="too many open files"):
        await failed.proceed(failed.decode(b""), CONTEXT)
    found = routes.find(unknown, 0)
    assert found is not None
    assert found.inline is plain


async def test_a_late_service_has_the_name_that_was_announced() -> None:
    other = Service("peer.v1.Other", ECHO)
    routes = late_routes(lambda: BoundService(other, {}))
    failed = routes.find(UnknownMethod(SERVICE.name, "Echo"), 0)
    assert failed is not None
    with pytest.raises(ValueError, match="is called 'peer.v1.Other'"):
        await failed.proceed(failed.decode(b""), CONTEXT)


def test_a_late_service_is_bound_once() -> None:
    late = LateService(SERVICE.name, lambda: BoundService(SERVICE, {}))
    with pytest.raises(ValueError, match="bound twice"):
        Routes([late, BoundService(SERVICE, {})])


def test_a_late_service_made_for_a_method_without_a_handler() -> None:
    routes = late_routes(lambda: BoundService(SERVICE, {"Echo": plain}))
    assert routes.find(UnknownMethod(SERVICE.name, "EchoStream"), 0) is None
    body = Request(service=SERVICE.name, method="Echo").SerializeToString()
    assert isinstance(routes.decode(body)[0], Route)
