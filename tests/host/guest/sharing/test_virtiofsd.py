# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.guest.guest import GuestError
from kata_host.guest.sharing import virtiofsd
from kata_host.guest.sharing.virtiofsd import find_virtiofsd, virtiofsd_command


def test_a_program_that_is_missing_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(virtiofsd, "OF_ITS_OWN", str(tmp_path / "a"))
    monkeypatch.setattr(virtiofsd, "OF_QEMU", str(tmp_path / "b"))
    with pytest.raises(GuestError, match=r"virtiofsd: not found \(package virtiofsd; "):
        find_virtiofsd()
    (tmp_path / "b").touch(0o755)
    assert find_virtiofsd() == str(tmp_path / "b")


@pytest.mark.parametrize("program", [virtiofsd.OF_QEMU, virtiofsd.OF_ITS_OWN])
def test_the_guest_makes_no_devices_and_has_a_sandbox(program: str) -> None:
    command = " ".join(virtiofsd_command(program, Path("/tmp/volume"), 7))
    assert command.startswith(f"{program} --fd=7 ")
    assert "modcaps=-mknod" in command
    assert "sandbox=namespace" in command
