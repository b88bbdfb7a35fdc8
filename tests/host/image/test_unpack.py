# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kata_host.image.errors import ImageError
from kata_host.image.layer_sink import Attributes
from kata_host.image.limits import UnpackLimits
from kata_host.image.unpack import unpack_layer
from tests.helpers.saved_images import (
    Entry,
    device,
    directory,
    entry,
    hard_link,
    symlink,
    tar_of,
)


class Recorder:
    """A sink that writes down what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.attributes = Attributes()

    def make_directory(self, path: str, attributes: Attributes) -> None:
        self.calls.append(("directory", path))

    def make_file(
        self, path: str, attributes: Attributes, chunks: Iterable[bytes]
    ) -> None:
        self.attributes = attributes
        self.calls.append(("file", path, b"".join(chunks)))

    def make_symlink(self, path: str, attributes: Attributes, target: str) -> None:
        self.calls.append(("symlink", path, target))

    def make_fifo(self, path: str, attributes: Attributes) -> None:
        self.calls.append(("fifo", path))

    def make_hard_link(self, path: str, target: str) -> None:
        self.calls.append(("link", path, target))

    def hide(self, path: str) -> None:
        self.calls.append(("hide", path))

    def hide_below(self, path: str) -> None:
        self.calls.append(("hide below", path))

    def finish_layer(self) -> None:
        self.calls.append(("finish",))


def unpack(*entries: Entry, limits: UnpackLimits | None = None) -> Recorder:
    sink = Recorder()
    tar = io.BytesIO(tar_of(*entries))
    unpack_layer(tar, sink, "layer", limits or UnpackLimits())
    return sink


def test_entries_come_in_order_and_whiteouts_last() -> None:
    sink = unpack(
        directory("./"),
        entry("etc/.wh..wh..opq"),
        entry("./etc//passwd", b"root"),
        entry(".wh.old"),
        entry("a/.wh.b"),
        symlink("abs", "/etc/passwd"),
        symlink("up", "../../.."),
        hard_link("hard", "./etc/passwd"),
        hard_link("self", "self"),
        entry("fifo", type=tarfile.FIFOTYPE),
        device("dev/null"),
        directory("dev/pts"),
        directory(".wh..wh.plnk"),
        entry(".wh..wh.plnk/12.34", b""),
        entry(".wh..wh.aufs"),
        entry("caf\udce9"),
    )
    assert sink.calls == [
        ("directory", ""),
        ("file", "etc/passwd", b"root"),
        ("symlink", "abs", "/etc/passwd"),
        ("symlink", "up", "../../.."),
        ("link", "hard", "etc/passwd"),
        ("fifo", "fifo"),
        ("directory", "dev/pts"),
        ("file", "caf\udce9", b""),
        ("hide", "old"),
        ("hide", "a/b"),
        ("hide below", "etc"),
        ("finish",),
    ]


def test_attributes_are_kept() -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    records = {
        "SCHILY.xattr.security.capability": capability.decode(
            "utf-8", "surrogateescape"
        ),
        "SCHILY.xattr.user.note": "caf\udce9\n=x",
        "SCHILY.xattr.security.selinux": "host_t",
        "SCHILY.xattr.trusted.other": "x",
        "comment": "none",
    }
    sink = unpack(
        entry("ping", mode=0o104755, uid=7, gid=2**31, mtime=1.5, pax_headers=records)
    )
    assert sink.attributes == Attributes(
        mode=0o4755,
        uid=7,
        gid=2**31,
        mtime_ns=1_500_000_000,
        xattrs={"security.capability": capability, "user.note": b"caf\xe9\n=x"},
    )


def record(name: str, value: str = "y") -> dict[str, dict[str, str]]:
    return {"pax_headers": {name: value}}


def deep(parts: int) -> str:
    return "/".join(["d"] * parts)


@pytest.mark.parametrize(
    ("hostile", "fault"),
    [
        (entry("/etc/passwd"), "an absolute path"),
        (entry("../x"), "leads outside by '..'"),
        (entry("a/../../x"), "leads outside by '..'"),
        (entry("a/.."), "leads outside by '..'"),
        (entry("x", **record("path", "a\0b")), "NUL in a name"),
        (entry("x" * 256), "name too long"),
        (entry("/".join(["x" * 200] * 21)), "name too long"),
        (entry(deep(201)), "more than 200 directories deep"),
        (hard_link("x", "/etc/passwd"), "hard link to '/etc/passwd': an absolute path"),
        (hard_link("x", "../x"), "hard link to '../x': leads outside"),
        (symlink("x", ""), "a link to a name of 0 bytes"),
        (symlink("x", "y" * 5000), "a link to a name of 5000 bytes"),
        (symlink("x", "y", **record("linkpath", "a\0b")), "a link to a name"),
        (device("etc/null"), "a device node"),
        (device("dev"), "a device node"),
        (device("devices/x"), "a device node"),
        (entry("x", type=tarfile.BLKTYPE), "a device node"),
        (entry("x", type=b"Z"), "unknown type b'Z'"),
        (entry(".wh."), "a whiteout of no name"),
        (entry(".wh.."), "a whiteout of no name"),
        (entry("a/.wh..."), "a whiteout of no name"),
        (entry(".wh.a/b"), "below a whiteout"),
        (entry("."), "the top is no directory"),
        (symlink("./", "x"), "the top is no directory"),
        (entry("x", uid=-1), "invalid uid -1"),
        (entry("x", uid=2**32 - 1), "invalid uid 4294967295"),
        (entry("x", **record("gid", "99999999999")), "invalid gid 99999999999"),
        (entry("x", **record("mtime", "nan")), "invalid time nan"),
        (entry("x", **record("mtime", "1e300")), "invalid time 1e+300"),
        (
            entry("x", **record("SCHILY.xattr.trusted.overlay.redirect", "/etc")),
            "attribute 'trusted.overlay.redirect'",
        ),
        (entry("x", **record("SCHILY.xattr.user.overlay.opaque")), "attribute 'user."),
        (entry("x", **record(f"SCHILY.xattr.user.{'n' * 300}")), "invalid name"),
        (entry("x", b"12345678901"), "files of more than 10000 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_entry_is_refused_by_its_name(hostile: Entry, fault: str) -> None:
    info, _ = hostile
    name = info.pax_headers.get("path", info.name)
    limits = UnpackLimits()
    if "files of" in fault:
        limits = replace(limits, size=10_000)
        hostile = entry("x", bytes(10_001))
    with pytest.raises(ImageError) as caught:
        unpack(hostile, limits=limits)
    assert str(caught.value).startswith("layer: entry ")
    assert repr(name)[:150].rstrip("/'") in str(caught.value).replace("'./'", "'.'")
    assert fault in str(caught.value)


def test_a_fault_of_the_sink_names_the_entry() -> None:
    class Full(Recorder):
        def make_directory(self, path: str, attributes: Attributes) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(ImageError, match="^layer: entry 'a': No space left"):
        unpack_layer(
            io.BytesIO(tar_of(directory("a"))), Full(), "layer", UnpackLimits()
        )


def test_files_count_together() -> None:
    def files() -> Iterator[Entry]:
        for number in range(9):
            yield entry(f"f{number}", bytes(1000))

    unpack(*files(), limits=UnpackLimits(size=9000))
    with pytest.raises(ImageError, match="entry 'f8': files of more than 8999"):
        unpack(*files(), limits=UnpackLimits(size=8999))


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_holes_are_bounded(tmp_path: Path, form: str) -> None:
    """They take no bytes in the archive, so no ratio of a compression bounds them."""
    for number in range(3):
        with open(tmp_path / f"sparse{number}", "wb") as file:
            file.write(b"data" * 100_000)
            file.truncate(1_400_000)
    command = ["tar", "-cS", f"--format={form}", "-C", tmp_path, "."]
    tar = subprocess.run(command, capture_output=True, check=True).stdout
    unpack_layer(
        io.BytesIO(tar), Recorder(), "layer", UnpackLimits(ratio_start=3_100_000)
    )
    with pytest.raises(ImageError, match="entry '.*': holes of more than 2800000 b"):
        unpack_layer(
            io.BytesIO(tar), Recorder(), "layer", UnpackLimits(ratio_start=2_800_000)
        )
