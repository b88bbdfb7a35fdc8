# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import sys

import pytest
from google.protobuf.compiler.plugin_pb2 import (
    CodeGeneratorRequest,
    CodeGeneratorResponse,
)

from tests.helpers.protoc import PEER, ROOT, request_for
from ttrpc.plugin.protoc import generate, main, warnings


def test_only_files_that_are_asked_for_and_have_services_are_generated() -> None:
    request = request_for(PEER, "kata_protos/types.proto", "kata_protos/health.proto")
    request.file_to_generate.remove("kata_protos/health.proto")
    assert [file.name for file in generate(request).file] == [
        "bench/ttrpc/peer_ttrpc.py"
    ]


def test_an_unknown_option_is_an_error() -> None:
    response = generate(CodeGeneratorRequest(parameter="paths=source_relative"))
    assert response.error == "option 'paths': unknown, there is: import_prefix"
    assert not response.file


def request_of(name: str, *methods: str) -> CodeGeneratorRequest:
    """Return the request for a file whose service `demo.Echo` has these methods."""
    request = CodeGeneratorRequest(file_to_generate=[name])
    file = request.proto_file.add(name=name, package="demo")
    file.message_type.add(name="Text")
    service = file.service.add(name="Echo")
    for method in methods:
        service.method.add(
            name=method, input_type=".demo.Text", output_type=".demo.Text"
        )
    return request


@pytest.mark.parametrize(
    ("methods", "error"),
    [
        (
            ("GetOOM", "Other", "GetOom"),
            "service 'demo.Echo': method 'GetOom' would be 'get_oom' in Python, as "
            "'GetOOM' is",
        ),
        (
            ("__init__",),
            "service 'demo.Echo': method '__init__' would be '__init__' in Python, "
            "where such names are the language's own",
        ),
    ],
)
def test_methods_without_a_name_of_their_own_are_an_error(
    methods: tuple[str, ...], error: str
) -> None:
    response = generate(request_of("echo.proto", *methods))
    assert response.error == f"echo.proto: {error}"
    assert not response.file


def test_a_folder_of_a_name_of_pythons_is_a_warning() -> None:
    request = request_of("types/echo.proto", "Get")
    (line,) = warnings(request)
    assert line.startswith("types/echo.proto: 'types.echo_pb2' is below a module")
    request.parameter = "import_prefix=zoo"
    assert not list(warnings(request))
    assert "from zoo.types import echo_pb2" in generate(request).file[0].content


def answer(
    request: CodeGeneratorRequest, monkeypatch: pytest.MonkeyPatch
) -> CodeGeneratorResponse:
    """Return the answer of the plugin on standard output."""
    stdin = io.TextIOWrapper(io.BytesIO(request.SerializeToString()))
    stdout = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stdout", stdout)
    main()
    stdout.buffer.seek(0)
    return CodeGeneratorResponse.FromString(stdout.buffer.read())


def test_protoc_is_answered_on_standard_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = request_for("kata_protos/health.proto")
    response = answer(request, monkeypatch)
    assert response == generate(request)
    kept = (ROOT / "protos" / "health_ttrpc.py").read_text()
    assert response.file[0].content == kept


def test_warnings_go_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = request_of("types/echo.proto", "Get")
    assert not answer(request, monkeypatch).error
    assert "types/echo.proto: 'types.echo_pb2' is below" in capsys.readouterr().err


def test_an_error_comes_without_warnings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    request = request_of("types/echo.proto", "__init__")
    assert "__init__" in answer(request, monkeypatch).error
    assert capsys.readouterr().err == ""
