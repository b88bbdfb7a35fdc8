# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from kata_host.tar.pack import pack


def test_a_tree_is_packed_under_another_name(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_bytes(b"content")
    (tree / "sub" / "file").chmod(0o4751)
    (tree / "link").symlink_to("/anywhere")
    os.mkfifo(tree / "fifo")
    file = io.BytesIO()
    assert pack(tree, "new", file).left_out == ["new/fifo"]
    file.seek(0)
    with tarfile.open(fileobj=file) as archive:
        found = {member.name: member for member in archive}
    assert set(found) == {"new", "new/sub", "new/sub/file", "new/link"}
    assert found["new/link"].linkname == "/anywhere"
    assert found["new/sub/file"].mode == 0o4751
    assert {(member.uid, member.uname) for member in found.values()} == {(0, "")}


def test_a_fifo_alone_is_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    file = io.BytesIO()
    assert pack(tmp_path / "fifo", "f", file).left_out == ["f"]
    assert file.getvalue() == b""
