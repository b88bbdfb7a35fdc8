# SPDX-License-Identifier: Apache-2.0
"""The generated files in `protos/` and `ttrpc/` are those that the generators write."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def test_generating_again_changes_nothing(tmp_path: Path) -> None:
    subprocess.run(
        ["make", "--no-print-directory", "protos", f"PROTOS_OUT={tmp_path}"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    fresh = {
        path.relative_to(tmp_path): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    kept = {
        path.relative_to(ROOT / "src"): path.read_bytes()
        for package in ("kata_protos", "ttrpc")
        for path in (ROOT / "src" / package).iterdir()
        if path.name.endswith(("_pb2.py", "_pb2.pyi", "_ttrpc.py"))
    }
    assert fresh == kept
