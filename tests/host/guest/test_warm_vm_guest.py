# SPDX-License-Identifier: Apache-2.0
"""A script in place of QEMU; tests/vm/test_snapshot.py has the real one."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from pathlib import Path

import pytest

from kata_host.guest.guest import GuestError
from kata_host.guest.image import agent
from kata_host.guest.image.store import Image
from kata_host.guest.vm_accelerator import VARIABLE
from kata_host.guest.vm_command import QEMU, Machine
from kata_host.guest.warm_vm_guest import WarmVmGuest
from kata_host.network import Network

COUNT = "calls"


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    """An image whose QEMU writes a line, and ends with an error."""
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    directory = tmp_path / "image"
    directory.mkdir()
    manifest = {"agent": agent.digest()}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    programs = tmp_path / "bin"
    programs.mkdir()
    set_qemu(programs, "exit 3", tmp_path / COUNT)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "tcg")
    return Image(directory)


def set_qemu(programs: Path, body: str, count: Path) -> None:
    program = programs / QEMU
    program.write_text(f"#!/bin/sh\necho $* >> {count}\n{body}\n")
    program.chmod(0o755)


def starts(tmp_path: Path) -> int:
    count = tmp_path / COUNT
    return len(count.read_text().splitlines()) if count.exists() else 0


def test_a_guest_boots_where_no_snapshot_can_be_made(
    image: Image, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with pytest.raises(GuestError, match="qemu ended with status 3"):
                WarmVmGuest(image).start()
    first, second = [record.getMessage() for record in caplog.records]
    assert "boots, not restored: " in first
    assert "qemu ended with status 3" in first
    assert "\n" not in first
    assert "of no use a moment ago" in second
    # One for the snapshot, and one for each guest.
    assert starts(tmp_path) == 3
    assert not list(tmp_path.glob("kata-*"))


def test_a_guest_boots_where_files_cannot_be_made(
    image: Image, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (image.directory / "snapshots").write_text("not a directory")
    with pytest.raises(GuestError, match="qemu ended with status 3"):
        WarmVmGuest(image).start()
    assert "boots, not restored: " in caplog.text
    assert starts(tmp_path) == 1


def test_a_guest_with_devices_of_its_own_boots(image: Image, tmp_path: Path) -> None:
    machine = Machine(devices=["-device", "virtio-net-pci"])
    with pytest.raises(GuestError, match="qemu ended with status 3"):
        WarmVmGuest(image, machine=machine).start()
    assert starts(tmp_path) == 1
    assert not (image.directory / "snapshots").exists()


def test_each_kind_of_machine_has_a_snapshot_of_its_own(image: Image) -> None:
    network: Network = "user"
    kinds = [
        Machine(),
        Machine(),  # The directory is of no matter.
        Machine(memory=256),
        Machine(cpus=2),
        Machine(kernel_parameters=["agent.log=debug"]),
        Machine(network=network),
    ]
    snapshots = image.directory / "snapshots"
    keys: set[str] = set()
    for number, machine in enumerate(kinds):
        with pytest.raises(GuestError):
            WarmVmGuest(image, machine=machine).start()
        now = {path.name for path in snapshots.iterdir()} - {"lock"}
        assert len(now - keys) == (number != 1)
        keys |= now
    # Another image, or another QEMU.
    manifest = image.directory / "manifest.json"
    manifest.write_text(json.dumps({**image.manifest, "recipe": "new"}))
    with pytest.raises(GuestError):
        WarmVmGuest(image).start()
    qemu = Path(shutil.which(QEMU) or "")
    qemu.write_text(qemu.read_text() + "\n")
    with pytest.raises(GuestError):
        WarmVmGuest(image).start()
    now = {path.name for path in snapshots.iterdir()} - {"lock"}
    assert len(now - keys) == 2


def test_a_guest_that_is_given_up_ends_and_does_not_boot(
    image: Image, tmp_path: Path
) -> None:
    guest = WarmVmGuest(image)
    set_qemu(tmp_path / "bin", "exec sleep 1000", tmp_path / COUNT)
    ends: list[GuestError] = []

    def start() -> None:
        try:
            guest.start()
        except GuestError as error:
            ends.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    while not starts(tmp_path):
        thread.join(0.01)
    guest.give_up()
    thread.join(30)
    assert len(ends) == 1
    assert "given up" in str(ends[0])
    assert starts(tmp_path) == 1
    assert {p.name for p in (image.directory / "snapshots").iterdir()} == {"lock"}
    assert not list(tmp_path.glob("kata-*"))
