# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.peer import ECHO
from ttrpc.call_context import CallContext
from ttrpc.interceptor import chain, eager, is_eager

CONTEXT = CallContext(ECHO["Echo"])


def test_the_first_is_outermost() -> None:
    def mark(name: str) -> Any:
        def interceptor(request: str, context: CallContext, proceed: Any) -> str:
            return f"{name}({proceed(request + name, context)})"

        return interceptor

    call = chain([mark("a"), mark("b")], lambda request, _: f"[{request}]")
    assert call("x", CONTEXT) == "a(b([xab]))"


def test_without_any_the_handler_is_called_itself() -> None:
    def handler(request: str, context: CallContext) -> str:
        return request

    assert chain([], handler) is handler


def test_an_interceptor_that_forgets_its_return_is_named() -> None:
    def forgets(request: object, context: object, proceed: object) -> None: ...

    call = chain([forgets], lambda request, context: None)
    with pytest.raises(TypeError, match=r"^interceptor .*forgets: returned nothing$"):
        call(None, CallContext(ECHO["Echo"]))


def test_an_eager_interceptor_is_marked() -> None:
    async def interceptor(request: Any, context: CallContext, proceed: Any) -> Any:
        return await proceed(request, context)

    assert not is_eager(interceptor)
    assert eager(interceptor) is interceptor
    assert is_eager(interceptor)


def test_only_a_coroutine_function_can_be_eager() -> None:
    def plain(request: Any, context: CallContext, proceed: Any) -> Any:
        return proceed(request, context)

    with pytest.raises(TypeError, match=r"^interceptor .*plain: not a coroutine"):
        eager(plain)
