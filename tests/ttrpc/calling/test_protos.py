# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers.protoc import PEER, ROOT
from ttrpc.calling import protos
from ttrpc.calling.protos import compile_protos, find_method

FILE = str(ROOT / PEER)


def test_a_file_is_found_in_its_own_folder_or_in_one_that_is_given() -> None:
    for files, folders in (([FILE], []), ([PEER], [str(ROOT)])):
        assert "peer.v1.Echo" in compile_protos(files, folders)


def test_the_protoc_of_the_system_will_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(protos.importlib.util, "find_spec", lambda name: None)
    ours = tmp_path / "protoc"
    ours.write_text('#!/bin/sh\necho "its own error" >&2; exit 1\n')
    ours.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="^protoc: its own error$"):
        compile_protos([FILE], [])
    ours.unlink()
    assert shutil.which("protoc") is None
    with pytest.raises(ValueError, match="install grpcio-tools from PyPI or protobuf"):
        compile_protos([FILE], [])


def test_a_method_is_found_by_either_form_of_its_name() -> None:
    services = compile_protos([FILE], [])
    for name in ("peer.v1.Echo/Len", "/peer.v1.Echo/Len"):
        assert find_method(services, name).full_method == "/peer.v1.Echo/Len"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Len", "'Len': no service ''; there are: peer.v1.Echo, peer.v1.Streaming"),
        ("Echo/Len", "no service 'Echo'; there are: peer.v1.Echo, peer.v1.Streaming"),
        ("peer.v1.Streaming/Nope", "no method 'Nope'; there are: Echo, EchoStream, "),
        ("peer.v1.Streaming/", "no method ''; there are: Echo, "),
    ],
)
def test_an_unknown_method_is_answered_with_those_there_are(
    name: str, error: str
) -> None:
    with pytest.raises(ValueError, match=error):
        find_method(compile_protos([FILE], []), name)
