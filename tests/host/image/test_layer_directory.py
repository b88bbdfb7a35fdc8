# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.image.errors import ImageError
from kata_host.image.layer_directory import OPAQUE_XATTR, LayerDirectory
from kata_host.image.layer_sink import Attributes
from tests.helpers.namespace import require_root

pytestmark = pytest.mark.root
OWNED = Attributes(mode=0o4711, uid=7, gid=70_000, mtime_ns=1_500_000_001)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    require_root()
    path = tmp_path / "layer"
    path.mkdir()
    return path


@pytest.fixture
def sink(top: Path) -> Iterator[LayerDirectory]:
    # What is made has the modes that it is given.
    mask = os.umask(0o077)
    try:
        with LayerDirectory(top) as sink:
            yield sink
    finally:
        os.umask(mask)


def look(path: Path) -> tuple[int, int, int, int]:
    status = path.lstat()
    mode = stat.S_IMODE(status.st_mode)
    return mode, status.st_uid, status.st_gid, status.st_mtime_ns


def test_everything_of_an_entry_is_kept(sink: LayerDirectory, top: Path) -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    xattrs = {"security.capability": capability, "user.a": b"b"}
    attributes = Attributes(0o4711, 7, 70_000, 1_500_000_001, xattrs)
    sink.make_directory("d", attributes)
    sink.make_file("d/file", attributes, [b"one", b"two"])
    sink.make_fifo("d/fifo", OWNED)
    sink.make_symlink("d/link", OWNED, "/etc/passwd")
    sink.make_hard_link("hard", "d/file")
    sink.make_hard_link("hard-link", "d/link")
    sink.finish_layer()
    wanted = (0o4711, 7, 70_000, 1_500_000_001)
    for name in ("d", "d/file", "d/fifo", "hard"):
        assert look(top / name) == wanted
    assert look(top / "d/link")[1:] == wanted[1:]
    assert os.readlink(top / "hard-link") == "/etc/passwd"
    assert (top / "hard").read_bytes() == b"onetwo"
    assert (top / "hard").samefile(top / "d/file")
    assert os.getxattr(top / "d/file", "security.capability") == capability
    assert os.getxattr(top / "d", "user.a") == b"b"
    assert stat.S_ISFIFO((top / "d/fifo").lstat().st_mode)


def test_parents_that_are_missing_are_made(sink: LayerDirectory, top: Path) -> None:
    sink.make_file("a/b/file", OWNED, [])
    assert look(top / "a/b")[:3] == (0o755, 0, 0)
    assert look(top)[0] == 0o755
    sink.make_directory("", Attributes(mode=0o1777))
    assert look(top)[0] == 0o1777


def test_the_last_entry_of_a_path_counts(sink: LayerDirectory, top: Path) -> None:
    victim = top.parent / "victim"
    victim.write_text("safe")
    sink.make_symlink("x", OWNED, str(victim))
    sink.make_file("x", OWNED, [b"new"])
    assert (top / "x").read_bytes() == b"new"
    assert not (top / "x").is_symlink()
    assert victim.read_text() == "safe"
    sink.make_hard_link("y", "x")
    sink.make_file("x", OWNED, [b"newer"])
    assert (top / "y").read_bytes() == b"new"
    sink.make_file("d/e/f", OWNED, [])
    sink.make_symlink("d", OWNED, "y")
    assert (top / "d").is_symlink()
    sink.make_directory("d", OWNED)
    sink.make_file("d/f", OWNED, [])
    sink.make_directory("d", Attributes(mode=0o700))
    sink.make_file("deep/er/a", OWNED, [])
    sink.make_file("deep", OWNED, [])
    sink.make_directory("deep", OWNED)
    sink.make_file("deep/er/b", OWNED, [b"new"])
    assert (top / "deep/er/b").read_bytes() == b"new"
    sink.finish_layer()
    assert (top / "d/f").exists()
    assert look(top / "d")[0] == 0o700


@pytest.mark.parametrize("target", ["/", "..", "../outside", "inside", "loop"])
def test_no_entry_is_made_through_a_link(
    sink: LayerDirectory, top: Path, target: str
) -> None:
    outside = top.parent / "outside"
    outside.mkdir()
    sink.make_directory("inside", OWNED)
    sink.make_symlink("loop", OWNED, target)
    for make in (
        lambda: sink.make_file("loop/etc/x", OWNED, []),
        lambda: sink.make_directory("loop/x", OWNED),
        lambda: sink.make_symlink("loop/x", OWNED, "y"),
        lambda: sink.make_fifo("loop/x", OWNED),
        lambda: sink.make_hard_link("x", "loop/etc/passwd"),
        lambda: sink.make_hard_link("loop/x", "inside/x"),
        lambda: sink.hide("loop/x"),
        lambda: sink.hide_below("loop"),
    ):
        with pytest.raises((ImageError, NotADirectoryError)):
            make()
    assert not list(outside.iterdir())
    assert not list((top / "inside").iterdir())


def test_a_hard_link_has_a_file_of_this_layer(sink: LayerDirectory, top: Path) -> None:
    sink.make_directory("d", OWNED)
    for target, fault in [("none", "not in this layer"), ("d", "a directory")]:
        with pytest.raises(ImageError, match=f"hard link to '{target}': {fault}"):
            sink.make_hard_link("x", target)


def test_what_is_hidden_is_what_overlayfs_reads(
    sink: LayerDirectory, top: Path
) -> None:
    sink.make_directory("both", OWNED)
    sink.make_file("file", OWNED, [b"new"])
    for name in ("gone", "a/gone", "both", "file"):
        sink.hide(name)
    sink.hide_below("a")
    sink.hide_below("deep/er")
    sink.hide_below("")
    for name in ("gone", "a/gone"):
        status = (top / name).lstat()
        assert stat.S_ISCHR(status.st_mode)
        assert status.st_rdev == 0
    for name in ("both", "a", "deep/er", ""):
        assert os.getxattr(top / name, OPAQUE_XATTR) == b"y"
    assert (top / "file").read_bytes() == b"new"


def test_only_root_can_keep_owners(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ImageError, match="needs root to keep owners"):
        LayerDirectory(top).__enter__()
