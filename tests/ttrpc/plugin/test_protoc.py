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
from ttrpc.plugin.protoc import generate, main


def test_only_files_that_are_asked_for_and_have_services_are_generated() -> None:
    request = request_for(PEER, "kata_protos/types.proto", "kata_protos/health.proto")
    request.file_to_generate.remove("kata_protos/health.proto")
    assert [file.name for file in generate(request).file] == [
        "bench/ttrpc/peer_ttrpc.py"
    ]


def test_an_option_is_refused() -> None:
    request = CodeGeneratorRequest(parameter="paths=source_relative")
    response = generate(request)
    assert response.error == (
        "option 'paths=source_relative': unknown, there are no options"
    )
    assert not response.file


def test_protoc_is_answered_on_standard_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = request_for("kata_protos/health.proto")
    stdin, stdout = io.BytesIO(request.SerializeToString()), io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stdin))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stdout))
    main()
    response = CodeGeneratorResponse.FromString(stdout.getvalue())
    assert response == generate(request)
    kept = (ROOT / "protos" / "health_ttrpc.py").read_text()
    assert response.file[0].content == kept
