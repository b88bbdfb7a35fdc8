# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kata_host.image.erofs_image import BLOCK, ErofsImage
from kata_host.image.errors import ImageError
from kata_host.image.layer_sink import Attributes

OWNED = Attributes(mode=0o4711, uid=7, gid=70_000, mtime_ns=1_500_000_001)
PLAIN = Attributes(mode=0o644)


def written(path: Path, *layers: Callable[[ErofsImage], object]) -> Path:
    with open(path, "xb") as file:
        image = ErofsImage(file)
        for layer in layers:
            layer(image)
            image.finish_layer()
        image.finish()
    assert path.stat().st_size % BLOCK == 0
    return path


def extracted(disk: Path) -> Path:
    """Return what erofs-utils reads, which check every byte of the layout."""
    top = disk.parent / "extracted"
    command = ["fsck.erofs", f"--extract={top}", disk]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return top


def names(top: Path) -> set[str]:
    return {
        os.fsencode(path.relative_to(top)).decode("latin-1")
        for path in top.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }


def test_everything_of_an_entry_is_kept(tmp_path: Path) -> None:
    def layer(image: ErofsImage) -> None:
        image.make_directory("", Attributes(mode=0o751))
        image.make_directory("d", OWNED)
        image.make_file("d/file", OWNED, [b"x" * 5000, b"y"])
        image.make_file("d/empty", PLAIN, [])
        image.make_file("d/block", PLAIN, [b"z" * BLOCK])
        image.make_fifo("d/fifo", OWNED)
        image.make_symlink("d/link", OWNED, "/etc/passwd")
        image.make_symlink("long", PLAIN, "a" * 4095)
        image.make_hard_link("hard", "d/file")
        image.make_file("caf\udce9", PLAIN, [b"1"])

    top = extracted(written(tmp_path / "disk", layer))
    assert (top / "d/file").read_bytes() == b"x" * 5000 + b"y"
    assert (top / "hard").read_bytes() == (top / "d/file").read_bytes()
    assert (top / "d/block").read_bytes() == b"z" * BLOCK
    assert (top / "d/empty").read_bytes() == b""
    assert os.readlink(top / "d/link") == "/etc/passwd"
    assert os.readlink(top / "long") == "a" * 4095
    assert stat.S_ISFIFO((top / "d/fifo").lstat().st_mode)
    assert (top / "caf\udce9").read_bytes() == b"1"
    if os.geteuid() == 0:
        status = (top / "d/file").stat()
        assert (status.st_uid, status.st_gid) == (7, 70_000)
        # fsck.erofs loses set-id bits, by a chown after its chmod.
        assert status.st_mode & 0o777 == 0o711


def test_a_large_directory_is_found_by_each_name(tmp_path: Path) -> None:
    wanted = {f"f{n:04d}{'n' * (n % 200)}" for n in range(400)} | {"!", "+", "~"}

    def layer(image: ErofsImage) -> None:
        for name in sorted(wanted, key=len):
            image.make_file(f"many/{name}", PLAIN, [name.encode()])

    top = extracted(written(tmp_path / "disk", layer))
    assert set(os.listdir(top / "many")) == wanted
    for name in wanted:
        assert (top / "many" / name).read_text() == name


def lower(image: ErofsImage) -> None:
    for path in ("etc/a", "etc/b/c", "usr/x", "opt/y", "file"):
        image.make_file(path, PLAIN, [b"lower"])
    image.make_symlink("lib", PLAIN, "usr")


def test_what_a_layer_hides_is_of_lower_layers(tmp_path: Path) -> None:
    def upper(image: ErofsImage) -> None:
        image.make_file("etc/new", PLAIN, [b"upper"])
        image.make_file("usr/x", PLAIN, [b"upper"])
        image.make_file("etc/b/new", PLAIN, [b"upper"])
        for path in ("file", "usr/x", "none", "none/none", "opt"):
            image.hide(path)
        image.hide_below("etc")
        image.hide_below("none")

    top = extracted(written(tmp_path / "disk", lower, upper))
    assert names(top) == {"etc/new", "etc/b/new", "usr/x", "lib"}
    assert (top / "usr/x").read_bytes() == b"upper"
    assert not (top / "opt").exists()


def test_a_later_entry_takes_the_place_of_any(tmp_path: Path) -> None:
    def upper(image: ErofsImage) -> None:
        image.make_file("lib/new", PLAIN, [b"upper"])
        image.make_symlink("etc", PLAIN, "usr")
        image.make_directory("file", OWNED)
        image.make_directory("usr", OWNED)

    top = extracted(written(tmp_path / "disk", lower, upper))
    assert names(top) == {"lib/new", "etc", "usr/x", "opt/y"}
    assert (top / "file").is_dir()


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda image: image.make_file("link/x", PLAIN, []), "no directory"),
        (lambda image: image.make_hard_link("x", "none"), "not in this layer"),
        (lambda image: image.make_hard_link("x", "link/y"), "not in this layer"),
        (lambda image: image.make_hard_link("x", "d"), "a directory"),
    ],
)
def test_a_hostile_entry_is_refused(
    tmp_path: Path, make: Callable[[ErofsImage], None], fault: str
) -> None:
    def layer(image: ErofsImage) -> None:
        image.make_directory("d", PLAIN)
        image.make_symlink("link", PLAIN, "/")
        make(image)

    with pytest.raises(ImageError, match=fault):
        written(tmp_path / "disk", layer)


def test_attributes_are_in_the_inode(tmp_path: Path) -> None:
    def layer(image: ErofsImage) -> None:
        capability = b"capability-value"
        values = {"security.capability": capability, "user.note": b"n" * 3000}
        image.make_file("ping", Attributes(xattrs=values), [b"x"])

    content = written(tmp_path / "disk", layer).read_bytes()
    assert extracted(tmp_path / "disk").joinpath("ping").read_bytes() == b"x"
    # Index 6 is `security.`, 1 is `user.` (fs/erofs/xattr.h).
    assert b"\x0a\x06\x10\0capabilitycapability-value" in content
    assert b"\x04\x01\xb8\x0bnote" + b"n" * 3000 in content
