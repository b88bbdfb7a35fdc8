# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import functools
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty

from bench.ttrpc.peer_pb2 import DESCRIPTOR
from ttrpc.bound_service import bind, is_coroutine
from ttrpc.service import Cardinality, Method, Service, unimplemented

DESCRIPTOR_OF_ECHO = DESCRIPTOR.services_by_name["Echo"]
ECHO = Service.from_descriptor(DESCRIPTOR_OF_ECHO)


class EchoOnly:
    def echo(self, request: Any, context: Any) -> Any:
        return request


class UploadOnly:
    async def upload(self, stream: Any, context: Any) -> Any: ...


class EchoBase:
    """As the plugin generates it."""

    __ttrpc_service__ = ECHO

    def echo(self, request: Any, context: Any) -> Any:
        raise unimplemented("Echo")

    def plain(self, request: Any, context: Any) -> Any:
        raise unimplemented("Plain")


class Derived(EchoBase):
    def echo(self, request: Any, context: Any) -> Any:
        return request


def test_several_implementations_share_a_service() -> None:
    bound = bind(DESCRIPTOR_OF_ECHO, EchoOnly(), UploadOnly())
    assert bound.service == ECHO
    assert set(bound.handlers) == {"Echo", "Upload"}


def test_a_method_of_a_generated_base_is_not_served() -> None:
    assert set(bind(ECHO, Derived()).handlers) == {"Echo"}


def test_a_handler_may_be_an_attribute_of_the_object() -> None:
    class Dynamic:
        def __init__(self) -> None:
            self.echo = lambda request, context: request

    assert set(bind(ECHO, Dynamic()).handlers) == {"Echo"}


def test_a_method_has_one_implementation() -> None:
    text = "^/peer.v1.Echo/Echo: implemented by EchoOnly and Derived$"
    with pytest.raises(ValueError, match=text):
        bind(ECHO, EchoOnly(), Derived())


def test_a_streams_handler_is_a_coroutine_function() -> None:
    class Plain:
        def upload(self, stream: Any, context: Any) -> Any: ...

    with pytest.raises(ValueError, match="/Upload: a stream's handler must be a coro"):
        bind(ECHO, Plain())


def test_an_object_with_an_async_call_is_a_coroutine_function() -> None:
    class Caller:
        async def __call__(self, request: Any, context: Any) -> Any: ...

    async def coroutine() -> None: ...

    assert is_coroutine(Caller())
    assert is_coroutine(coroutine)
    assert is_coroutine(functools.partial(coroutine))
    assert not is_coroutine(lambda request, context: request)


def test_a_handler_can_be_called() -> None:
    class Constant:
        echo = 5

    with pytest.raises(TypeError, match="^/peer.v1.Echo/Echo: handler is int, not a"):
        bind(ECHO, Constant())


@pytest.mark.parametrize("name", ["Download", "down_load", "downloa", "downlood"])
def test_a_misspelt_handler_is_an_error(name: str) -> None:
    """The method would be UNIMPLEMENTED, and nothing would say why."""
    handlers = {name: lambda self, request, context: request}
    with pytest.raises(ValueError, match=rf"X.{name} should be named download$"):
        bind(ECHO, type("X", (), handlers)())


@pytest.mark.parametrize(
    "name", ["_download", "upload", "reload", "downloads_of", "d", "lens"]
)
def test_other_names_are_helpers(name: str) -> None:
    async def handler(self: Any, stream: Any, context: Any) -> None: ...

    assert set(bind(ECHO, type("X", (), {name: handler})()).handlers) <= {"Upload"}


def test_a_value_that_is_almost_a_handlers_name_is_no_handler() -> None:
    assert bind(ECHO, type("X", (), {"downloads": 5})()).handlers == {}


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (("GetOOM", "GetOom"), "'GetOom' would be 'get_oom' in Python, as 'GetOOM' is"),
        (("__class__",), "'__class__' would be '__class__' in Python"),
    ],
)
def test_methods_whose_handlers_have_no_name_of_their_own_are_refused(
    names: tuple[str, ...], error: str
) -> None:
    kind = Cardinality.UNARY_UNARY
    methods = {it: Method(it, "demo.Echo", kind, Empty, Empty) for it in names}
    with pytest.raises(ValueError, match=f"^service 'demo.Echo': method {error}"):
        bind(Service("demo.Echo", methods), object())
