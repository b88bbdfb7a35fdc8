# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from kata_host.tar.readable import Readable
from kata_host.tar.tar_entries import CHUNK, TarEntries
from kata_host.tar.tar_error import TarError
from tests.helpers.saved_images import entry, symlink, tar_of


class Forwards:
    """A stream that cannot seek and gives few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, 700))


def read(stream: Readable, limit: int = 1000) -> dict[str, bytes]:
    entries = TarEntries(stream, "layer", limit)
    return {info.name: b"".join(entries.chunks(info)) for info in entries}


FILES = [entry(f"dir/file-{n}", bytes([n]) * (n * 300)) for n in range(8)]


def test_a_stream_needs_no_seek(tmp_path: Path) -> None:
    data = tar_of(*FILES)
    found = read(Forwards(data))
    assert found == {info.name: content for info, content in FILES}
    (tmp_path / "a.tar").write_bytes(data)
    with open(tmp_path / "a.tar", "rb") as file:
        assert [info.name for info in TarEntries(file, "layer", 9)] == list(found)


def test_an_empty_archive_has_no_entries() -> None:
    assert read(Forwards(tar_of())) == {}


@pytest.mark.parametrize("program", [["tar"], ["busybox", "tar"]])
def test_archives_of_the_programs_of_guests(program: list[str], tmp_path: Path) -> None:
    (tmp_path / "t" / "sub").mkdir(parents=True)
    (tmp_path / "t" / "sub" / ("n" * 180)).write_bytes(b"content")
    (tmp_path / "t" / "link").symlink_to("sub")
    made = subprocess.run(
        [*program, "-c", "-f", "-", "-C", tmp_path, "t"],
        capture_output=True,
        check=True,
    )
    names = [info.name for info in TarEntries(Forwards(made.stdout))]
    assert set(names) == {"t", "t/sub", "t/link", "t/sub/" + "n" * 180}


def test_the_last_padding_may_be_missing() -> None:
    data = tar_of(entry("a", b"x" * 700))
    assert read(Forwards(data[: 512 + 700])) == {"a": b"x" * 700}
    with pytest.raises(TarError, match="entry 'a': unexpected end of data"):
        read(Forwards(data[: 512 + 699]))


def test_names_are_bytes() -> None:
    assert list(read(Forwards(tar_of(entry("caf\udce9"))))) == ["caf\udce9"]


def test_sparse_files_have_their_holes(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.seek(3_000_000)
        file.write(b"end")
    for form in ("gnu", "pax"):
        command = ["tar", "-cS", f"--format={form}", "-C", tmp_path, "sparse"]
        data = subprocess.run(command, capture_output=True, check=True).stdout
        assert read(Forwards(data)) == {"sparse": bytes(3_000_000) + b"end"}


def big_header() -> bytes:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 8 << 30
    return info.tobuf(
        tarfile.USTAR_FORMAT if info.size < 8 << 30 else tarfile.GNU_FORMAT
    )


def chain(kind: bytes) -> bytes:
    info = tarfile.TarInfo("pax")
    info.type, info.size = kind, 11
    header = info.tobuf(tarfile.USTAR_FORMAT)
    return (header + b"11 a=bcdef\n".ljust(512, b"\0")) * 3000


def damaged(data: bytes) -> bytes:
    """Return the archive with another name in the header of its second file."""
    return data[:512] + b"X" + data[513:]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"x" * 2000, "after the start: "),
        (tar_of(FILES[7])[:1500], "entry 'dir/file-7': unexpected end of data"),
        (tar_of(*FILES, entry("last")), "more than 8 entries"),
        (damaged(tar_of(*FILES[:2])), "after entry 'dir/file-0': damaged header"),
        (tar_of(*FILES[:2])[:700], "after entry 'dir/file-0': damaged header"),
        (big_header(), "header of 8589934592 bytes, more than"),
        (tar_of(symlink("a", "b" * (CHUNK + 1))), "header of .* bytes, more than"),
        (chain(tarfile.XHDTYPE), "too many headers before one entry"),
        (chain(tarfile.XGLTYPE), "too many headers before one entry"),
    ],
)
def test_a_hostile_archive_is_refused(data: bytes, fault: str) -> None:
    with pytest.raises(TarError, match=f"^layer: .*{fault}"):
        read(Forwards(data), limit=8)


def test_records_for_all_entries_are_few() -> None:
    with io.BytesIO() as file:
        records = {f"key{n}": "x" for n in range(100)}
        with tarfile.open(fileobj=file, mode="w", pax_headers=records) as tar:
            tar.addfile(tarfile.TarInfo("a"))
        with pytest.raises(TarError, match="too many global records"):
            read(Forwards(file.getvalue()))
