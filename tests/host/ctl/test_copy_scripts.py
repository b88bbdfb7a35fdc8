# SPDX-License-Identifier: Apache-2.0
"""The scripts, in this host's own shell and in busybox's."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from kata_host.ctl.copy_scripts import CREATE, EXTRACT, NO_ATTRIBUTES, PLACE
from kata_host.ctl.rootfs import make_busybox
from kata_host.tar.pack import pack
from kata_host.tar.unpack import unpack

MIB = 1 << 20


@pytest.fixture(params=["host", "busybox"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Sequence[str]:
    if request.param == "host":
        return ["sh", "-c"]
    root = make_busybox(tmp_path / "root")
    return ["env", f"PATH={root}/bin", f"{root}/bin/sh", "-c"]


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("content")
    (tmp_path / "tree/hole").touch()
    os.truncate(tmp_path / "tree/hole", 5 * MIB)
    file = io.BytesIO()
    pack(tmp_path / "tree", "part", file, part="part")
    return file.getvalue()


def run(
    shell: Sequence[str], script: str, *arguments: object, input: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    command = [*shell, script, "sh", *map(str, arguments)]
    return subprocess.run(command, input=input, capture_output=True, check=False)


def test_what_is_whole_is_placed(
    shell: Sequence[str], archive: bytes, tmp_path: Path
) -> None:
    to = tmp_path / "to"
    to.mkdir()
    ran = run(shell, PLACE, to, "part", to / "new", input=archive)
    assert ran.returncode == 0
    assert ran.stderr.strip().decode() in ("", NO_ATTRIBUTES)
    assert os.listdir(to) == ["new"]
    assert sorted(os.listdir(to / "new")) == ["file", "hole"]
    assert (to / "new/hole").stat().st_size == 5 * MIB
    assert (to / "new/hole").stat().st_blocks * 512 < MIB


def test_what_ends_too_soon_is_removed(
    shell: Sequence[str], archive: bytes, tmp_path: Path
) -> None:
    to = tmp_path / "to"
    to.mkdir()
    (to / "new").write_text("old")
    start = archive.index(b"archive\n") + len(b"archive\n")
    cuts = [0, 5, start - 3, start, *range(start + 512, start + 2048, 512)]
    for size in [*cuts, start + 700]:
        ran = run(shell, PLACE, to, "part", to / "new", input=archive[:size])
        assert (ran.returncode != 0, os.listdir(to)) == (True, ["new"])
    assert (to / "new").read_text() == "old"


def test_a_plain_archive_goes_there_and_back(
    shell: Sequence[str], archive: bytes, tmp_path: Path
) -> None:
    (tmp_path / "to").mkdir()
    made = run(shell, CREATE, tmp_path, "tree")
    assert made.returncode == 0
    ran = run(shell, EXTRACT, tmp_path / "to", input=made.stdout)
    assert ran.returncode == 0
    assert (tmp_path / "to/tree/file").read_text() == "content"
    unpack(io.BytesIO(made.stdout), tmp_path / "back")
    assert (tmp_path / "back/file").read_text() == "content"
