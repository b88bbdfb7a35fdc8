# SPDX-License-Identifier: Apache-2.0
"""The text of the stubs of one service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from google.protobuf.descriptor_pb2 import (
    FileDescriptorProto,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from ttrpc.plugin.docstrings import Docstrings, docstring
from ttrpc.plugin.file_scope import FileScope
from ttrpc.plugin.names import Names
from ttrpc.service import snake_case

SERVICE_FIELD: Final = 6
"""Number of FileDescriptorProto.service in the paths of source locations
(google/protobuf/descriptor.proto)."""
METHOD_FIELD: Final = 2
"""Number of ServiceDescriptorProto.method there."""


class ServiceStubs:
    """A service's constant, its base for servers and its two clients."""

    def __init__(
        self,
        file: FileDescriptorProto,
        index: int,
        docstrings: Docstrings,
        methods: Mapping[str, str],
        names: Names,
    ) -> None:
        """Take the names of the service; `methods` maps the .proto's to Python's."""
        self._service = service = file.service[index]
        self._full_name = full_name(file, service)
        self._path = (SERVICE_FIELD, index)
        self._docstrings = docstrings
        self._methods = methods
        self._is_deprecated = file.options.deprecated or service.options.deprecated
        self._constant = names.give(constant_name(service.name))
        self._base = names.give(f"{service.name}Base")
        self._client = names.give(f"{service.name}Client")
        self._sync_client = names.give(f"{service.name}SyncClient")
        # A method may be called `_client`.
        self._attribute = Names(methods.values()).give("_client")

    def parts(self, scope: FileScope) -> Iterator[str]:
        """Yield the statements."""
        yield (
            f"{self._constant} = {scope.core('Service')}.from_descriptor(\n"
            f'    {scope.own}.DESCRIPTOR.services_by_name["{self._service.name}"]\n)'
        )
        yield "\n".join(self._base_class(scope))
        yield "\n".join(self._client_class(scope, sync=False))
        yield "\n".join(self._client_class(scope, sync=True))

    def _base_class(self, scope: FileScope) -> Iterator[str]:
        yield f"class {self._base}:"
        text = f"Serves {self._full_name}: override the methods to serve."
        yield docstring(self._docstrings.comment(self._path) or text, 4)
        yield ""
        yield f"    __ttrpc_service__ = {self._constant}"
        for index, method in enumerate(self._service.method):
            request = scope.message(method.input_type)
            response = scope.message(method.output_type)
            prefix = "async def"
            returns = "None" if method.server_streaming else response
            if is_stream(method):
                stream = scope.type("ttrpc.aio.server_stream", "ServerStream")
                first = f"stream: {stream}[{request}, {response}]"
            else:
                first = f"request: {request}"
                prefix = "def"
                awaitable = scope.type("collections.abc", "Awaitable")
                returns = f"{response} | {awaitable}[{response}]"
            yield ""
            yield f"    {prefix} {self._methods[method.name]}("
            yield "        self,"
            yield f"        {first},"
            context = scope.type("ttrpc.call_context", "CallContext")
            yield f"        context: {context},"
            yield f"    ) -> {returns}:"
            yield from self._comment(index)
            yield f'        raise {scope.core("unimplemented")}("{method.name}")'

    def _client_class(self, scope: FileScope, *, sync: bool) -> Iterator[str]:
        package = "ttrpc.sync" if sync else "ttrpc.aio"
        local = "SyncClient" if sync else "Client"
        client = scope.type(f"{package}.client", "Client", local=local)
        if self._is_deprecated:
            yield decorator(scope, self._full_name)
        yield f"class {self._sync_client if sync else self._client}:"
        first = f"Calls {self._full_name} through a client of `{package}`."
        comment = self._docstrings.comment(self._path)
        yield docstring(f"{first}\n\n{comment}".rstrip(), 4)
        yield ""
        yield f"    def __init__(self, client: {client}) -> None:"
        yield f"        self.{self._attribute} = client"
        for index, method in enumerate(self._service.method):
            yield ""
            yield from self._call(scope, index, method, sync=sync)

    def _call(
        self, scope: FileScope, index: int, method: MethodDescriptorProto, *, sync: bool
    ) -> Iterator[str]:
        request = scope.message(method.input_type)
        response = returns = scope.message(method.output_type)
        define, result = ("def", "") if sync else ("async def", "await ")
        if is_stream(method):
            if sync:
                module, name, local = "sync.client_stream", "ClientStream", "SyncStream"
            else:
                module, name, local = "aio.opening_stream", "OpeningStream", ""
            stream = scope.type(f"ttrpc.{module}", name, local=local)
            returns = f"{stream}[{request}, {response}]"
            # It is opened by `async with` as well as by `await`.
            define, result = "def", ""
        if method.options.deprecated:
            yield "    " + decorator(scope, f"/{self._full_name}/{method.name}")
        yield f"    {define} {self._methods[method.name]}("
        yield "        self,"
        if not method.client_streaming:
            yield f"        request: {request},"
        yield "        *,"
        number = scope.type("builtins", "float")
        yield f"        timeout: {number} | None = None,"
        deadline = scope.type("ttrpc.deadline", "Deadline")
        yield f"        deadline: {deadline} | None = None,"
        metadata = scope.type("ttrpc.metadata", "MetadataLike")
        yield f"        metadata: {metadata} | None = None,"
        yield f"    ) -> {returns}:"
        yield from self._comment(index)
        yield f"        method: {scope.type('ttrpc.service', 'Method')}["
        yield f"            {request},"
        yield f"            {response},"
        yield f'        ] = {self._constant}.methods["{method.name}"]'
        verb = "open_stream" if is_stream(method) else "call"
        yield f"        return {result}self.{self._attribute}.{verb}("
        yield "            method,"
        if not method.client_streaming:
            yield "            request,"
        yield "            timeout=timeout,"
        yield "            deadline=deadline,"
        yield "            metadata=metadata,"
        yield "        )"

    def _comment(self, index: int) -> Iterator[str]:
        comment = self._docstrings.comment((*self._path, METHOD_FIELD, index))
        if comment:
            yield docstring(comment, 8)


def decorator(scope: FileScope, name: str) -> str:
    """Return the line before what is deprecated."""
    return f'@{scope.deprecated()}("{name} is deprecated")'


def full_name(file: FileDescriptorProto, service: ServiceDescriptorProto) -> str:
    """Return `grpc.AgentService`."""
    return ".".join(filter(None, (file.package, service.name)))


def is_stream(method: MethodDescriptorProto) -> bool:
    """Tell whether either side sends more than one message."""
    return method.client_streaming or method.server_streaming


def constant_name(service: str) -> str:
    """Convert `AgentService` to `AGENT_SERVICE`."""
    return snake_case(service).upper()
