# SPDX-License-Identifier: Apache-2.0
"""The plugin as protoc runs it: a request on stdin, the generated files on stdout.

The two messages are declared in google/protobuf/compiler/plugin.proto.
"""

from __future__ import annotations

import sys

from google.protobuf.compiler.plugin_pb2 import (
    CodeGeneratorRequest,
    CodeGeneratorResponse,
)
from google.protobuf.descriptor_pb2 import Edition

from ttrpc.plugin.message_types import MessageTypes, python_path
from ttrpc.plugin.stubs import Stubs


def main() -> None:
    """Run the plugin."""
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    sys.stdout.buffer.write(generate(request).SerializeToString())


def generate(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """Return one file for each .proto that has services."""
    if request.parameter:
        error = f"option {request.parameter!r}: unknown, there are no options"
        return CodeGeneratorResponse(error=error)
    response = CodeGeneratorResponse(
        # Services look the same in every edition.
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
        | CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS,
        minimum_edition=Edition.EDITION_PROTO2,
        maximum_edition=Edition.EDITION_2024,
    )
    types = MessageTypes(request.proto_file)
    for file in request.proto_file:
        if file.name in request.file_to_generate and file.service:
            response.file.add(
                name=f"{python_path(file)}_ttrpc.py", content=Stubs(file, types).text()
            )
    return response
