# SPDX-License-Identifier: Apache-2.0
"""The NRI plugin of the examples, under the library that containerd and CRI-O have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.interop import require_go
from tests.helpers.source_tree import ROOT

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(300)]

EXAMPLE: Final = ROOT / "examples/nri"
PATIENCE: Final = 60


def test_a_plugin_changes_a_container(tmp_path: Path) -> None:
    require_go()
    api, runtime, folder = (tmp_path / it for it in ("api", "runtime", "run"))
    folder.mkdir()
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {**os.environ, "PATH": programs, "PYTHONPATH": f"{api}:{EXAMPLE}"}
    subprocess.run([EXAMPLE / "protos.sh", api], check=True, env=variables)
    subprocess.run(
        ["go", "build", "-o", runtime, "."],
        cwd=ROOT / "tests/data/nri_runtime",
        check=True,
    )
    with subprocess.Popen([runtime, folder], stdout=subprocess.PIPE, text=True) as peer:
        try:
            assert peer.stdout is not None
            assert peer.stdout.readline() == "listening\n"
            plugin = subprocess.run(
                [sys.executable, EXAMPLE / "plugin.py", folder / "nri.sock"],
                env=variables,
                stdout=subprocess.PIPE,
                text=True,
                timeout=PATIENCE,
            )
            assert plugin.returncode == 0
            assert peer.wait(PATIENCE) == 0
            assert peer.stdout.read() == "env POD=one\n"
        finally:
            peer.kill()
    assert plugin.stdout.splitlines() == [
        "runtime: test-runtime 1.2",
        "containers before: 1",
        "event: RUN_POD_SANDBOX one",
        "create: two",
        "event: START_CONTAINER two",
    ]
