# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from kata_host.tar.tar_writer import CHUNK, TarWriter


def written(*paths: Path) -> io.BytesIO:
    file = io.BytesIO()
    archive = TarWriter(file, (7, 8))
    for path in paths:
        archive.add_file(path.name, path, path.lstat())
    archive.finish()
    file.seek(0)
    return file


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_tar_reads_what_is_written(tmp_path: Path, size: int) -> None:
    path = tmp_path / os.fsdecode(b"\xff" + b"n" * 254)
    path.write_bytes(os.urandom(size))
    os.utime(path, (1, 2))
    archive = written(path).getvalue()
    assert len(archive) % tarfile.RECORDSIZE == 0
    (tmp_path / "back").mkdir()
    for tar in (["tar"], ["busybox", "tar"]):
        command = [*tar, "-x", "-f", "-", "-C", str(tmp_path / "back")]
        subprocess.run(command, input=archive, check=True)
        back = tmp_path / "back" / path.name
        assert back.read_bytes() == path.read_bytes()
        assert back.stat().st_mtime == 2
        back.unlink()


def test_a_second_name_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    os.link(tmp_path / "a", tmp_path / "b")
    with tarfile.open(fileobj=written(tmp_path / "a", tmp_path / "b")) as archive:
        first, second = archive
    assert (first.isreg(), second.islnk(), second.linkname) == (True, True, "a")
    assert (first.uid, first.gid) == (7, 8)


def test_a_file_that_changes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()
    status = path.lstat()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="has changed while it was copied") as raised:
        TarWriter(io.BytesIO(), (0, 0)).add_file("f", path, status)
    assert raised.value.filename == path


class Cutting(io.BytesIO):
    """Cuts a file to half as soon as its header has been written."""

    path: Path

    def write(self, data: object) -> int:
        os.truncate(self.path, CHUNK // 2)
        return super().write(data)  # type: ignore[arg-type]


def test_a_file_that_becomes_shorter_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(CHUNK))
    file = Cutting()
    file.path = path
    with pytest.raises(OSError, match="has become shorter while it was copied"):
        TarWriter(file, (0, 0)).add_file("f", path, path.lstat())
