# SPDX-License-Identifier: Apache-2.0
"""A small run of the benchmark of copies, with equal hashes both ways."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench import copies
from tests.helpers.namespace import require_root

MIB = 1 << 20


@pytest.mark.slow
@pytest.mark.root
def test_a_file_and_a_folder_come_back_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_root()
    monkeypatch.setattr(copies, "FILES", 64)
    # Restored after the test, because the benchmark sets it.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    text = asyncio.run(copies.run(tmp_path, 48 * MIB, 1, vm=False))
    assert "48 MiB in a local guest, medians of 1: equal hashes" in text
    for kind in ("`cp` of a file, in", "`cp` of a folder, out", "stdin, stream port"):
        assert f"| {kind} |" in text
    # As much memory as for any size, which is less than the file.
    peak = float(text.partition("`cp` ")[2].split()[0])
    assert peak < 48
