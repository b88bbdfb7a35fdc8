# SPDX-License-Identifier: Apache-2.0
"""The generated files of `peer.proto` are up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.interop import ROOT


@pytest.mark.parametrize("name", ["peer_pb2.py", "peer_pb2.pyi"])
def test_generating_again_changes_nothing(name: str, tmp_path: Path) -> None:
    compiler = [sys.executable, "-m", "grpc_tools.protoc", "-I."]
    outputs = [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}"]
    command = [*compiler, *outputs, "bench/ttrpc/peer.proto"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    fresh = tmp_path / "bench" / "ttrpc" / name
    kept = ROOT / "bench" / "ttrpc" / name
    assert fresh.read_bytes() == kept.read_bytes()
