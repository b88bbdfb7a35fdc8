# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kata_host.image.layer_directory import LayerDirectory
from kata_host.image.layer_reader import read_layer
from kata_host.image.layer_sink import Attributes, LayerSink
from tests.helpers.namespace import require_root

pytestmark = pytest.mark.root
OWNED = Attributes(0o4711, 7, 70_000, 1_500_000_001, {"user.a": b"b"})
LINK = Attributes(0o777, 7, 70_000, 1_500_000_001)


def fill(sink: LayerSink) -> None:
    sink.make_directory("", OWNED)
    sink.make_directory("d", OWNED)
    sink.make_file("d/file", OWNED, [b"content"])
    sink.make_hard_link("hard", "d/file")
    sink.make_symlink("link", LINK, "/etc")
    sink.make_fifo("fifo", LINK)
    sink.make_file("caf\udce9", LINK, [])
    sink.hide("d/gone")
    sink.hide_below("d")
    sink.finish_layer()


def content(top: Path) -> dict[str, object]:
    found = {}
    for directory, directories, files in os.walk(top):
        for name in ("", *directories, *files):
            path = Path(directory, name)
            status = path.lstat()
            xattrs = os.listxattr(path, follow_symlinks=False)
            found[str(path.relative_to(top))] = (
                *(status.st_mode, status.st_uid, status.st_gid, status.st_nlink),
                *(status.st_rdev, sorted(xattrs)),
                # What a layer hides has no time.
                0 if stat.S_ISCHR(status.st_mode) else status.st_mtime_ns,
            )
    return found


def test_a_layer_is_read_as_it_was_made(tmp_path: Path) -> None:
    require_root()
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        path.mkdir()
    with LayerDirectory(one) as sink:
        fill(sink)
    with LayerDirectory(two) as sink:
        read_layer(one, sink)
    wanted = content(one)
    assert len(wanted) == 8
    assert content(two) == wanted
    assert (two / "d/file").read_bytes() == b"content"
    assert os.readlink(two / "link") == "/etc"
