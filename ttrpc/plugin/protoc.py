# SPDX-License-Identifier: Apache-2.0
"""The plugin as protoc runs it: a request on stdin, the generated files on stdout.

The two messages are declared in google/protobuf/compiler/plugin.proto.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from google.protobuf.compiler.plugin_pb2 import (
    CodeGeneratorRequest,
    CodeGeneratorResponse,
)
from google.protobuf.descriptor_pb2 import Edition

from ttrpc.plugin.message_types import MessageTypes, python_module, python_path
from ttrpc.plugin.options import Options
from ttrpc.plugin.stubs import stubs


def main() -> None:
    """Run the plugin."""
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = generate(request)
    if not response.error:
        for warning in warnings(request):
            print(warning, file=sys.stderr)
    sys.stdout.buffer.write(response.SerializeToString())


def warnings(request: CodeGeneratorRequest) -> Iterator[str]:
    """Yield a line for each file that Python will not find below its own modules."""
    prefix = Options.parse(request.parameter).import_prefix
    for file in request.proto_file:
        module = python_module(file, prefix)
        top = module.partition(".")[0]
        if top in {*sys.stdlib_module_names, "ttrpc"}:
            yield (
                f"{file.name}: {module!r} is below a module that is not the user's, "
                f"{top!r}; with --pyttrpc_opt=import_prefix=NAME, the stubs import "
                f"'NAME.{module}'"
            )


def generate(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """Return one file for each .proto that has services, or an error."""
    response = CodeGeneratorResponse(
        # Services look the same in every edition.
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
        | CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS,
        minimum_edition=Edition.EDITION_PROTO2,
        maximum_edition=Edition.EDITION_2024,
    )
    try:
        prefix = Options.parse(request.parameter).import_prefix
        types = MessageTypes(request.proto_file, prefix)
        for file in request.proto_file:
            if file.name in request.file_to_generate and file.service:
                name = f"{python_path(file)}_ttrpc.py"
                response.file.add(name=name, content=stubs(file, types, prefix))
    except ValueError as error:
        return CodeGeneratorResponse(error=str(error))
    return response
