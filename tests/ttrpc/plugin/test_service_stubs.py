# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ast

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from ttrpc.plugin.docstrings import Docstrings
from ttrpc.plugin.file_scope import FileScope
from ttrpc.plugin.message_types import MessageTypes
from ttrpc.plugin.names import Names
from ttrpc.plugin.service_stubs import ServiceStubs, constant_name


def test_a_constant_has_a_constants_name() -> None:
    assert constant_name("AgentService") == "AGENT_SERVICE"
    assert constant_name("HTTPThing") == "HTTP_THING"


@pytest.mark.parametrize("deprecated", [False, True])
def test_a_service_is_a_constant_a_base_and_two_clients(deprecated: bool) -> None:
    file = FileDescriptorProto(name="echo.proto", package="demo")
    file.options.deprecated = deprecated
    file.service.add(name="Echo")
    names = Names()
    scope = FileScope(file, MessageTypes([file]), names)
    stubs = ServiceStubs(file, 0, Docstrings(file), {}, names)
    constant, *classes = (ast.parse(part).body[0] for part in stubs.parts(scope))
    assert isinstance(constant, ast.Assign)
    assert ast.unparse(constant.targets[0]) == "ECHO"
    assert [it.name for it in classes if isinstance(it, ast.ClassDef)] == [
        *("EchoBase", "EchoClient", "EchoSyncClient")
    ]
    marks = [
        "@deprecated('demo.Echo is deprecated')" in ast.unparse(it) for it in classes
    ]
    assert marks == [False, deprecated, deprecated]
