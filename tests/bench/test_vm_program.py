# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import document, vm_program


@pytest.mark.skipif(shutil.which(vm_program.QEMU) is None, reason="needs QEMU")
def test_the_table_is_printed_and_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "README.md"
    page.write_text("<!-- boot: written -->\n\n<!-- /boot -->\n")
    monkeypatch.setattr(document, "README", page)
    monkeypatch.setattr(document, "CHARTS", tmp_path / "charts")
    image = SimpleNamespace(kernel=Path("kernel"))
    monkeypatch.setattr(vm_program, "ensure_current", lambda progress: image)
    monkeypatch.setattr(vm_program, "choose_accelerator", lambda *_: "tcg")
    monkeypatch.setattr(sys, "argv", ["boot", "--rounds", "2", "--write"])
    vm_program.run_program(
        "boot",
        "Measures.",
        5,
        lambda it, rounds: [it] * rounds,
        lambda found, machine: (
            f"{machine}\n\n| part | ms |\n|---|---|\n| {found} | 7 |"
        ),
    )
    assert capsys.readouterr().out.startswith("QEMU ")
    kept = document.section(page, "boot")
    assert ", tcg, 1 CPU, " in kept
    assert repr([image, image]) in kept
    assert (tmp_path / "charts" / "boot.svg").exists()
