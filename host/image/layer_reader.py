# SPDX-License-Identifier: Apache-2.0
"""The entries of a layer that `LayerDirectory` has made, for another sink."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kata_host.image.layer_directory import OPAQUE_XATTR
from kata_host.image.layer_sink import Attributes, LayerSink
from kata_host.image.unpack import XATTRS_KEPT

CHUNK: Final = 1 << 20


def read_layer(directory: Path, sink: LayerSink) -> None:
    """Hand everything in a layer's directory to `sink`. Raises `OSError`."""
    top = os.fspath(directory)
    hidden: list[str] = []
    opaque: list[str] = []
    known: dict[int, str] = {}
    for path in _walk(top):
        full = f"{top}/{path}" if path else top
        status = os.lstat(full)
        kind = stat.S_IFMT(status.st_mode)
        if status.st_nlink > 1 and kind != stat.S_IFDIR:
            if (first := known.setdefault(status.st_ino, path)) != path:
                sink.make_hard_link(path, first)
                continue
        attributes = _attributes(full, status)
        if kind == stat.S_IFDIR:
            sink.make_directory(path, attributes)
            if OPAQUE_XATTR in os.listxattr(full):
                opaque.append(path)
        elif kind == stat.S_IFREG:
            sink.make_file(path, attributes, _chunks(full))
        elif kind == stat.S_IFLNK:
            sink.make_symlink(path, attributes, os.readlink(full))
        elif kind == stat.S_IFIFO:
            sink.make_fifo(path, attributes)
        else:
            # The character device 0:0: what the layer hides.
            hidden.append(path)
    for path in hidden:
        sink.hide(path)
    for path in opaque:
        sink.hide_below(path)
    sink.finish_layer()


def _walk(top: str) -> Iterator[str]:
    """Yield the paths below `top`, in order, and first that of `top` itself."""
    yield ""
    for directory, directories, files in os.walk(top):
        directories.sort()
        around = directory[len(top) + 1 :]
        for name in (*directories, *sorted(files)):
            yield f"{around}/{name}" if around else name


def _attributes(path: str, status: os.stat_result) -> Attributes:
    names = os.listxattr(path, follow_symlinks=False)
    return Attributes(
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        xattrs={
            name: os.getxattr(path, name, follow_symlinks=False)
            for name in names
            if name.startswith(XATTRS_KEPT)
        },
    )


def _chunks(path: str) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        while data := file.read(CHUNK):
            yield data
