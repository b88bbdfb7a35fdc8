# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from kata_host.tar.root_tree import make_root_directory, reason_of, unpack_command
from tests.helpers.saved_images import entry, tar_of


def test_an_archive_without_a_top_becomes_a_root(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_of(entry("etc/file", b"x")))
    root = tmp_path / "scratch" / "root"
    make_root_directory(root)
    subprocess.run(unpack_command(tmp_path / "a.tar", root), check=True)
    assert (root / "etc/file").read_bytes() == b"x"
    assert stat.S_IMODE(root.stat().st_mode) == 0o755


def test_the_first_line_of_tar_is_the_reason() -> None:
    assert reason_of(b"\ntar: a: b\xff\ntar: Exiting\n") == "tar: a: b\ufffd"
    assert reason_of(b" \n") == "tar failed"
