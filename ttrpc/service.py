# SPDX-License-Identifier: Apache-2.0
"""Services and methods, read from protobuf descriptors."""

from __future__ import annotations

import enum
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ttrpc.codes import Code
from ttrpc.errors import StatusError
from ttrpc.raw import Raw

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

RequestT = TypeVar("RequestT", bound=Message | Raw)
ResponseT = TypeVar("ResponseT", bound=Message | Raw)


class Cardinality(enum.Enum):
    """Tells which sides of a call stream: send any number of messages, not one."""

    UNARY_UNARY = (False, False)
    """One request, one response."""
    UNARY_STREAM = (False, True)
    """One request; the server streams."""
    STREAM_UNARY = (True, False)
    """The client streams; one response."""
    STREAM_STREAM = (True, True)
    """Both stream, each at its own pace."""

    @property
    def client_streaming(self) -> bool:
        """Whether the client streams."""
        return self.value[0]

    @property
    def server_streaming(self) -> bool:
        """Whether the server streams."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Method(Generic[RequestT, ResponseT]):
    """One RPC of a service."""

    name: str
    """The bare name, `CreateContainer`."""
    service: str
    """The service's full name, `grpc.AgentService`."""
    cardinality: Cardinality
    """Which sides stream."""
    request_type: type[RequestT]
    """The class of the client's messages: of protobuf, or `Raw`."""
    response_type: type[ResponseT]
    """The class of the server's messages."""

    @property
    def full_method(self) -> str:
        """`/grpc.AgentService/CreateContainer`, the form that logs and errors use."""
        return f"/{self.service}/{self.name}"

    @property
    def python_name(self) -> str:
        """The handler's name, `create_container`."""
        return python_name(self.name)

    @property
    def is_raw(self) -> bool:
        """Whether the response is bytes.

        Where a raw method's server streams, it may as well end the stream with one
        response: a program that knows no .proto file cannot know which.
        """
        return self.response_type is Raw

    @classmethod
    def raw(
        cls,
        service: str,
        name: str,
        cardinality: Cardinality = Cardinality.UNARY_UNARY,
    ) -> Method[Raw, Raw]:
        """Make a method whose messages are bytes, from its names alone."""
        return Method(name, service, cardinality, Raw, Raw)

    @classmethod
    def from_descriptor(cls, descriptor: MethodDescriptor) -> Method[Any, Any]:
        """Make a method from a descriptor that protoc generated."""
        return Method(
            name=descriptor.name,
            service=descriptor.containing_service.full_name,
            cardinality=Cardinality(
                (descriptor.client_streaming, descriptor.server_streaming)
            ),
            request_type=GetMessageClass(descriptor.input_type),
            response_type=GetMessageClass(descriptor.output_type),
        )


@dataclass(frozen=True, slots=True)
class Service:
    """A named set of methods."""

    name: str
    """The full name, `grpc.AgentService`."""
    methods: Mapping[str, Method[Any, Any]]
    """By bare name, in the order of the .proto file."""

    @classmethod
    def from_descriptor(cls, descriptor: ServiceDescriptor) -> Service:
        """Make a service from a descriptor that protoc generated.

        `Service.from_descriptor(agent_pb2.DESCRIPTOR.services_by_name["AgentService"])`
        """
        methods = (Method.from_descriptor(method) for method in descriptor.methods)
        return cls(descriptor.full_name, {method.name: method for method in methods})


def unimplemented(name: str) -> StatusError:
    """Return the error for a method that has no handler, with Go's text."""
    return StatusError(Code.UNIMPLEMENTED, f"method {name}")


def python_names(service: str, methods: Iterable[str]) -> dict[str, str]:
    """Map the names of a service's methods to those of their handlers and stubs.

    Raises:
        ValueError: two methods have one name, or a name is not free in a class.
    """
    names: dict[str, str] = {}
    for method in methods:
        name = python_name(method)
        fault = f"service {service!r}: method {method!r} would be {name!r} in Python"
        if name.startswith("__"):
            raise ValueError(f"{fault}, where such names are the language's own")
        if other := next((it for it in names if names[it] == name), ""):
            raise ValueError(f"{fault}, as {other!r} is")
        names[method] = name
    return names


def python_name(name: str) -> str:
    """Return the name of a method's handler and stub: `Import` -> `import_`."""
    name = snake_case(name)
    return f"{name}_" if keyword.iskeyword(name) else name


def snake_case(name: str) -> str:
    """Convert a method's name: `GetOOMEvent` to `get_oom_event`."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z0-9])([A-Z])", r"\1_\2", name).lower()
