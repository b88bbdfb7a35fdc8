# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from kata_host import Guest
from kata_host.ctl.program import main
from kata_host.guest.guest import GuestError
from kata_host.guest.image.build import PROGRAMS
from kata_host.guest.vm_command import QEMU
from kata_host.guest.vm_image import ready_image


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory of programs, and a cache without an image."""
    monkeypatch.setattr("kata_host.needed_programs.SYSTEM_DIRECTORIES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_nothing_is_built_for_a_host_without_qemu(programs: Path) -> None:
    # What builds the image is named as well, so that one installation is enough.
    with pytest.raises(GuestError, match=r"^qemu-system-x86_64, .*patchelf, kmod\)$"):
        ready_image()
    assert not list(programs.rglob("build-*"))


def test_pip_is_named_with_the_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        GuestError, match=r"kmod\); pip: not found \(package python3-pip"
    ):
        ready_image()


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_builds_the_image_is_looked_for_first(
    programs: Path, program: str
) -> None:
    for name in {QEMU, *PROGRAMS} - {program}:
        (programs / name).touch(0o755)
    with pytest.raises(
        GuestError, match=rf"^guest image: {program}: not found \(package "
    ):
        ready_image()


def test_the_command_line_names_the_package(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert main(["run", "--vm", "--", "true"]) == 125
    assert "(packages qemu-system-x86, " in capsys.readouterr().err


FAILING = """#!/bin/sh
echo 'E: no network' >&2
exit 100
"""


@pytest.mark.parametrize(
    "command", [("run", "--vm", "--", "true"), ("guest", "start", "--vm")]
)
def test_a_build_that_fails_is_told_by_the_command_line(
    programs: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(programs))
    monkeypatch.setenv("DEBIAN_MIRROR", "http://127.0.0.1/debian")
    for name in (QEMU, *PROGRAMS):
        (programs / name).write_text(FAILING)
        (programs / name).chmod(0o755)
    assert main(command) in (1, 125)
    errors = capsys.readouterr().err
    assert "kata-agent-ctl: guest image: apt-get update (trixie):" in errors
    assert "E: no network" in errors


async def test_a_build_that_fails_is_told_by_the_sdk(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    for name in (QEMU, *PROGRAMS):
        (programs / name).touch(0o755)
    with pytest.raises(GuestError, match=r"^guest image: /proc/none"):
        async with Guest.vm():
            raise AssertionError("started")
