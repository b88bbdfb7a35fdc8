# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from kata_host.client.tar_entries import (
    HEADER_LIMIT,
    EntryKind,
    TarEntries,
    TarError,
)

LONG = "d" * 90 + "/" + "n" * 200


def archive_of(*members: tuple[tarfile.TarInfo, bytes], format: int) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    file.seek(0)
    return file


def info(name: str, type: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = type, link, 0o640
    return member


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_entries_are_those_that_were_written(format: int) -> None:
    file = archive_of(
        (info("d", tarfile.DIRTYPE), b""),
        (info(LONG), b"x" * 1000),
        (info("ä", tarfile.SYMTYPE, LONG), b""),
        (info("h", tarfile.LNKTYPE, "d"), b""),
        (info("f", tarfile.FIFOTYPE), b""),
        format=format,
    )
    entries = TarEntries(file)
    seen = [
        (e.name.decode(), e.kind, e.mode, e.link, entries.content()) for e in entries
    ]
    assert [kind for _, kind, *_ in seen] == [
        EntryKind.DIRECTORY,
        EntryKind.FILE,
        EntryKind.SYMBOLIC_LINK,
        EntryKind.HARD_LINK,
        EntryKind.FIFO,
    ]
    assert [name for name, *_ in seen][1:3] == [LONG, "ä"]
    assert {mode for _, _, mode, *_ in seen} == {0o640}
    assert seen[2][3] == LONG.encode()


def test_content_is_read_before_the_next_entry() -> None:
    members = [(info(name), name.encode() * 700) for name in ("a", "b", "c")]
    entries = TarEntries(archive_of(*members, format=tarfile.USTAR_FORMAT))
    found = {}
    for entry in entries:
        if entry.name != b"b":
            found[entry.name] = b"".join(entries.content())
    assert found == {b"a": b"a" * 700, b"c": b"c" * 700}


@pytest.mark.parametrize("program", [["tar"], ["busybox", "tar"]])
def test_archives_of_the_programs_of_guests(program: list[str], tmp_path: Path) -> None:
    if shutil.which(program[0]) is None:
        pytest.skip(f"no {program[0]}")
    (tmp_path / "t" / "sub").mkdir(parents=True)
    (tmp_path / "t" / "sub" / ("n" * 180)).write_bytes(b"content")
    (tmp_path / "t" / "link").symlink_to("sub")
    made = subprocess.run(
        [*program, "-c", "-f", "-", "-C", tmp_path, "t"],
        capture_output=True,
        check=True,
    )
    names = {entry.name.rstrip(b"/") for entry in TarEntries(io.BytesIO(made.stdout))}
    assert names == {b"t", b"t/sub", b"t/link", b"t/sub/" + b"n" * 180}


def test_a_damaged_archive_is_an_error() -> None:
    whole = archive_of((info("a"), b"x" * 600), format=tarfile.GNU_FORMAT).getvalue()
    for content in (b"", whole[:100], whole[:700], b"no archive" * 100):
        with pytest.raises(TarError, match="^archive: "):
            list(TarEntries(io.BytesIO(content)))
    damaged = bytearray(whole)
    damaged[0] ^= 1
    with pytest.raises(TarError, match="damaged"):
        list(TarEntries(io.BytesIO(bytes(damaged))))


@pytest.mark.parametrize("type", [b"L", b"K", b"x", b"g"])
def test_a_header_is_bounded(type: bytes) -> None:
    member = info("a", type)
    member.size = HEADER_LIMIT + 1
    block = member.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(TarError, match="a header of 65537 bytes, over 65536"):
        list(TarEntries(io.BytesIO(block + bytes(1024))))


@pytest.mark.parametrize(
    "header",
    [b"x path=a\n", b"9999 path=a\n", b"8 path\n", b"99999999999999999999999 a"],
)
def test_a_wrong_pax_header_is_an_error(header: bytes) -> None:
    member = info("a", b"x")
    member.size = len(header)
    block = member.tobuf(tarfile.USTAR_FORMAT) + header.ljust(512, b"\0")
    with pytest.raises(TarError, match="^archive: a header is damaged"):
        list(TarEntries(io.BytesIO(block)))


def test_an_unknown_kind_is_an_error() -> None:
    block = info("a", b"Z").tobuf(tarfile.USTAR_FORMAT)
    with pytest.raises(TarError, match="'a': entry of an unknown kind"):
        list(TarEntries(io.BytesIO(block)))
