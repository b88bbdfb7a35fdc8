# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import functools
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from bench.ttrpc.peer_pb2 import DESCRIPTOR
from ttrpc.codes import Code
from ttrpc.service import (
    Cardinality,
    Service,
    bind,
    is_coroutine,
    python_name,
    unimplemented,
)

DESCRIPTOR_OF_ECHO = DESCRIPTOR.services_by_name["Echo"]
ECHO = Service.from_descriptor(DESCRIPTOR_OF_ECHO)


def test_a_service_is_read_from_its_descriptor() -> None:
    assert ECHO.name == "peer.v1.Echo"
    method = ECHO.methods["Upload"]
    assert method.full_method == "/peer.v1.Echo/Upload"
    assert method.cardinality is Cardinality.STREAM_UNARY
    assert method.request_type is BytesValue
    assert method.response_type is UInt64Value


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("Check", "check"),
        ("GetOOMEvent", "get_oom_event"),
        ("AddARPNeighbors", "add_arp_neighbors"),
        ("GetIPTables", "get_ip_tables"),
        ("Import", "import_"),
        ("already_snake", "already_snake"),
    ],
)
def test_handlers_have_names_as_python_has_them(name: str, python: str) -> None:
    assert python_name(name) == python


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


def test_what_a_generated_base_defines_is_not_served() -> None:
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

    with pytest.raises(ValueError, match="/Upload: a stream's handler must be async"):
        bind(ECHO, Plain())


def test_an_object_with_an_async_call_is_a_coroutine_function() -> None:
    class Caller:
        async def __call__(self, request: Any, context: Any) -> Any: ...

    async def coroutine() -> None: ...

    assert is_coroutine(Caller())
    assert is_coroutine(coroutine)
    assert is_coroutine(functools.partial(coroutine))
    assert not is_coroutine(lambda request, context: request)


def test_unimplemented_says_so_in_gos_words() -> None:
    error = unimplemented("Echo")
    assert (error.code, error.message) == (Code.UNIMPLEMENTED, "method Echo")
