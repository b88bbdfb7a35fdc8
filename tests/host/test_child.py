# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
from pathlib import Path

from kata_host.child import child_environment, module_command


def test_a_child_imports_nothing_of_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the user's own')")
    package = tmp_path / "kata_host"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('the user's own')")
    ran = subprocess.run(
        [*module_command("kata_host.ctl", "call", "list")],
        cwd=tmp_path,
        env=child_environment(),
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "grpc.Health/Check" in ran.stdout
