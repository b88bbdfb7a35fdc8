# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from kata_host.ctl.program import main
from kata_host.guest.guest import GuestError
from kata_host.guest.vm_command import QEMU
from kata_host.guest.vm_image import BUILDERS, ready_image


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory of PATH, and a cache without an image."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_nothing_is_built_for_a_host_without_qemu(programs: Path) -> None:
    with pytest.raises(GuestError, match=r"^qemu-system-x86_64: .*qemu-system-x86\)$"):
        ready_image()
    assert not list(programs.rglob("build-*"))


@pytest.mark.parametrize("program", BUILDERS)
def test_what_builds_the_image_is_looked_for_first(
    programs: Path, program: str
) -> None:
    for name in {QEMU, *BUILDERS} - {program}:
        (programs / name).touch(0o755)
    with pytest.raises(GuestError, match=rf"^{program}: not found \(package "):
        ready_image()


def test_the_command_line_names_the_package(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert main(["run", "--vm", "--", "true"]) == 125
    assert "(package qemu-system-x86)" in capsys.readouterr().err
