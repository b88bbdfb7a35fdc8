# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import io
import os
import resource
import stat
import tarfile
from pathlib import Path

import pytest

from kata_host.tar.tar_error import TarError
from kata_host.tar.unpack import unpack

Members = list[tuple[str, bytes, str, bytes]]
"""Name, type, target of a link, content."""


def archive(members: Members, mode: int = 0o755) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, type, link, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = type, link, mode
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    file.seek(0)
    return file


D, F, S, H = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
TREE: Members = [
    ("t", D, "", b""),
    ("t/sub/deep", D, "", b""),
    ("t/sub/deep/file", F, "", b"content"),
    ("t/link", S, "sub/deep/file", b""),
    ("t/sub/up", S, "../link", b""),
    ("t/hard", H, "t/sub/deep/file", b""),
]


@pytest.mark.parametrize("prefix", ["", "./"])
def test_a_directory_is_made_under_its_new_name(tmp_path: Path, prefix: str) -> None:
    members = [(prefix + name, type, link, data) for name, type, link, data in TREE]
    counted: list[int] = []
    unpack(archive(members), tmp_path / "new", counted.append)
    new = tmp_path / "new"
    for path in (new / "sub/deep/file", new / "link", new / "sub/up", new / "hard"):
        assert path.read_bytes() == b"content"
    assert os.stat(new / "hard").st_nlink == 2
    assert counted == [7]
    # Again, over what is there.
    unpack(archive(members), tmp_path / "new")


def test_the_top_may_be_a_dot_or_a_file(tmp_path: Path) -> None:
    members: Members = [("./", D, "", b""), ("./a", F, "", b"x"), ("b/c", F, "", b"y")]
    unpack(archive(members), tmp_path / "new")
    assert (tmp_path / "new/a").read_bytes() == b"x"
    assert (tmp_path / "new/b/c").read_bytes() == b"y"
    unpack(archive([("f", F, "", b"z")], mode=0o6751), tmp_path / "g")
    assert (tmp_path / "g").read_bytes() == b"z"
    # Not the bits that would make the file another user's.
    assert stat.S_IMODE((tmp_path / "g").stat().st_mode) == 0o751


def test_a_directory_that_may_not_be_written_is_filled_first(tmp_path: Path) -> None:
    unpack(archive([("t", D, "", b""), ("t/a", F, "", b"x")], 0o555), tmp_path / "t")
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o555


def test_a_directory_of_the_user_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir(mode=0o700)
    unpack(archive([(".", D, "", b""), ("a", D, "", b"")], 0o777), tmp_path / "t")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("t/**")]
    assert modes == [0o700, 0o777]


def test_links_between_links_are_kept(tmp_path: Path) -> None:
    members = [*TREE, ("t/sub/too", H, "t/sub/up", b""), ("s", S, "x", b"")]
    unpack(archive(members[:-1]), tmp_path / "t")
    assert os.readlink(tmp_path / "t/sub/too") == "../link"
    unpack(archive(members[-1:]), tmp_path / "s")
    assert os.readlink(tmp_path / "s") == "x"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("/t", D, "", b"")], "'/t': a path out of the archive"),
        ([("t/../../x", F, "", b"")], "a path out of the archive"),
        ([("..", D, "", b"")], "a path out of the archive"),
        ([("t", D, "", b""), ("u", F, "", b"")], "'u': not below 't'"),
        ([("t/a/s", S, "../x", b""), ("t/h", H, "t/a/s", b"")], "'t/h': a link out of"),
        ([("t/h", H, "/etc/passwd", b"")], "a path out of the archive"),
        ([("t/h", H, "t/../../x", b"")], "a path out of the archive"),
        ([("t/h", H, "u/x", b"")], "'t/h': a link to 'u/x'"),
        ([("t/l", S, "sub", b""), ("t/l/x", F, "", b"")], "not a directory, or a link"),
        ([("t/f", F, "", b""), ("t/f/x", F, "", b"")], "not a directory, or a link"),
        ([("t/s", tarfile.GNUTYPE_SPARSE, "", b"")], "'t/s': sparse file"),
        ([("t/z", b"Z", "", b"")], "'t/z': unknown kind b'Z'"),
        ([], "archive: empty"),
    ],
)
def test_a_hostile_archive_is_refused(
    tmp_path: Path, members: Members, reason: str
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(TarError, match=reason):
        unpack(archive(members), inside / "t")
    assert os.listdir(tmp_path) == ["inside"]
    assert set(os.listdir(inside)) <= {"t"}


def test_what_leads_out_and_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    members: Members = [
        ("t/sub/in", S, "../file", b""),
        ("t/absolute", S, "/etc/passwd", b""),
        ("t/too", H, "t/absolute", b""),
        ("t/up", S, "../../x", b""),
        ("t/down-and-up", S, "a/../../x", b""),
        # Through a link to the top, whose parent is out.
        ("t/a/top", S, "..", b""),
        ("t/a/up", S, "top/../x", b""),
        ("t/character", tarfile.CHRTYPE, "", b""),
        ("t/block", tarfile.BLKTYPE, "", b""),
        ("t/fifo", tarfile.FIFOTYPE, "", b""),
        ("t/file", F, "", b"x"),
    ]
    left_out = unpack(archive(members), tmp_path / "t")
    kept = {"t/sub/in", "t/a/top", "t/file"}
    assert left_out == [name for name, *_ in members if name not in kept]
    assert sorted(os.listdir(tmp_path / "t")) == ["a", "file", "sub"]
    assert os.listdir(tmp_path / "t/a") == ["top"]
    assert (tmp_path / "t/sub/in").read_bytes() == b"x"
    for type in (S, tarfile.CHRTYPE):
        with pytest.raises(TarError, match="'t': a link that leads elsewhere, or no"):
            unpack(archive([("t", type, "../x", b"")]), tmp_path / "u")
    assert not (tmp_path / "u").exists()


def test_what_is_left_out_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kata_host.tar.unpack.LEFT_OUT", 2)
    members: Members = [(f"t/{n}", S, "/x", b"") for n in range(3)]
    assert unpack(archive(members[:2]), tmp_path / "t") == ["t/0", "t/1"]
    with pytest.raises(TarError, match="archive: more than 2 entries to leave out"):
        unpack(archive(members), tmp_path / "t")


def test_a_link_of_the_host_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "t").mkdir()
    (tmp_path / "t/l").symlink_to(tmp_path / "secret")
    (tmp_path / "t/f").symlink_to(tmp_path / "secret/file")
    with pytest.raises(TarError, match="not a directory, or a link"):
        unpack(archive([("t/l/x", F, "", b"x")]), tmp_path / "t")
    # A file takes the place of a link, and leaves alone what the link was to.
    unpack(archive([("t/f", F, "", b"x")]), tmp_path / "t")
    assert not (tmp_path / "t/f").is_symlink()
    assert os.listdir(tmp_path / "secret") == []


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """As on a full disk: the kernel's error of a write names no file."""
    members: Members = [("t", D, "", b""), ("t/sub/big", F, "", bytes(100_000))]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as refused:
            unpack(archive(members), tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert refused.value.errno == errno.EFBIG
    assert refused.value.filename == str(tmp_path / "new/sub/big")


def test_a_file_of_the_host_is_replaced_by_a_whole_one_or_not_at_all(
    tmp_path: Path,
) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/f").write_text("old")
    whole = archive([("t/f", F, "", bytes(range(200)) * 1000)]).getvalue()
    with pytest.raises(TarError, match="unexpected end of data"):
        unpack(io.BytesIO(whole[:100_000]), tmp_path / "t")
    assert (tmp_path / "t/f").read_text() == "old"
    assert os.listdir(tmp_path / "t") == ["f"]


def test_runs_of_zeros_are_holes(tmp_path: Path) -> None:
    content = b"x" + bytes(8 << 20) + b"y" + bytes(4 << 20)
    unpack(archive([("f", F, "", content)]), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == content
    assert (tmp_path / "f").stat().st_blocks * 512 < 2 << 20


def test_times_are_kept_if_the_host_has_them(tmp_path: Path) -> None:
    for time, kept in ((1000, True), (-5, True), (1 << 62, False)):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            member = tarfile.TarInfo("f")
            member.mtime = time
            tar.addfile(member)
        file.seek(0)
        unpack(file, tmp_path / "f")
        assert ((tmp_path / "f").stat().st_mtime == time) == kept
