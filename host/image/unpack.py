# SPDX-License-Identifier: Apache-2.0
"""The entries of a layer (OCI image-spec, layer.md), checked and handed to a sink.

Refused, with the entry's name: paths that are absolute or have a part `..`, also those
of hard links; entries below a link; names that no file system takes; device nodes,
except below `/dev`, which a container has for itself, where they are left out;
attributes that steer overlayfs; more than the limits.

Kept: owners, modes with their set-id bits, times, names of any bytes, and the extended
attributes `user.*`, `security.capability` and `system.posix_acl_*`. Other attributes
belong to the host that made the layer and are left out. Of two entries with the same
path the later counts, as for docker.
"""

from __future__ import annotations

import math
import os
import tarfile
from collections.abc import Iterator
from typing import Final

from kata_host.image.errors import ImageError
from kata_host.image.layer_sink import Attributes, LayerSink
from kata_host.image.limits import UnpackLimits
from kata_host.tar.readable import Readable
from kata_host.tar.tar_entries import TarEntries
from kata_host.tar.tar_error import TarError

WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"
_METADATA: Final = ".wh..wh."
"""Names of aufs's own files, which mean nothing here."""
NAME_MAX: Final = 255
PATH_MAX: Final = 4095
"""Bytes (linux/limits.h, less the NUL)."""
XATTR_MAX: Final = 65535
"""Bytes of an attribute's value; the kernel takes one more, and EROFS does not."""
_ID_MAX: Final = 2**32 - 2
"""The id above is chown's word for none."""
_TIME_MAX: Final = 2**33
"""Seconds, as ext4 and erofs have them."""
_XATTR: Final = "SCHILY.xattr."
XATTRS_KEPT: Final = ("user.", "security.capability", "system.posix_acl_")
_XATTRS_REFUSED: Final = ("trusted.overlay.", "user.overlay.")


def unpack_layer(
    tar: Readable, sink: LayerSink, subject: str, limits: UnpackLimits
) -> int:
    """Hand every entry of the uncompressed `tar` to `sink`; return the files' bytes.

    Raises `ImageError` with `subject` in front, or `OSError`.
    """
    entries = TarEntries(tar, subject, limits.entries)
    try:
        return _Unpacking(entries, sink, subject, limits).run()
    except TarError as error:
        raise ImageError(str(error)) from error


class _Unpacking:
    def __init__(
        self, entries: TarEntries, sink: LayerSink, subject: str, limits: UnpackLimits
    ) -> None:
        self._entries = entries
        self._sink = sink
        self._subject = subject
        self._limits = limits
        self._size = 0
        self._written = 0
        self._hidden: list[str] = []
        self._opaque: list[str] = []

    def run(self) -> int:
        for entry in self._entries:
            try:
                self._add(entry)
            except ImageError as error:
                if str(error).startswith(self._subject):
                    raise
                raise ImageError(self._about(entry, str(error))) from error
            except OSError as error:
                reason = error.strerror or str(error)
                raise ImageError(self._about(entry, reason)) from error
        # A whiteout hides lower layers only, wherever in the archive it is.
        for path in self._hidden:
            self._sink.hide(path)
        for path in self._opaque:
            self._sink.hide_below(path)
        self._sink.finish_layer()
        return self._size

    def _about(self, entry: tarfile.TarInfo, fault: str) -> str:
        return f"{self._subject}: entry {entry.name!r:.200}: {fault}"

    def _add(self, entry: tarfile.TarInfo) -> None:
        path = self._checked(entry.name)
        around, _, name = path.rpartition("/")
        if any(part.startswith(WHITEOUT) for part in around.split("/")):
            if not around.startswith(_METADATA):
                raise ImageError("below a whiteout")
        elif name == OPAQUE:
            self._opaque.append(around)
        elif name.startswith(WHITEOUT):
            self._hide(around, name)
        else:
            self._make(entry, path)

    def _hide(self, around: str, name: str) -> None:
        hidden = name.removeprefix(WHITEOUT)
        if hidden in ("", ".", ".."):
            raise ImageError("a whiteout of no name")
        if not name.startswith(_METADATA):
            self._hidden.append(f"{around}/{hidden}" if around else hidden)

    def _make(self, entry: tarfile.TarInfo, path: str) -> None:
        sink = self._sink
        if entry.isdir():
            sink.make_directory(path, _attributes(entry))
            return
        if not path:
            raise ImageError("the top is no directory")
        if entry.isreg() or entry.issparse():
            self._size += entry.size
            if self._size > self._limits.size:
                raise ImageError(f"files of more than {self._limits.size} bytes")
            sink.make_file(path, _attributes(entry), self._content(entry))
        elif entry.islnk():
            try:
                target = self._checked(entry.linkname)
            except ImageError as error:
                linked = f"hard link to {entry.linkname!r:.200}"
                raise ImageError(f"{linked}: {error}") from error
            if target != path:
                sink.make_hard_link(path, target)
        elif entry.issym():
            length = len(os.fsencode(entry.linkname))
            if not 0 < length <= PATH_MAX or "\0" in entry.linkname:
                raise ImageError(f"a link to a name of {length} bytes")
            sink.make_symlink(path, _attributes(entry), entry.linkname)
        elif entry.isfifo():
            sink.make_fifo(path, _attributes(entry))
        elif not entry.isdev():
            raise ImageError(f"unknown type {entry.type!r}")
        elif not path.startswith("dev/"):
            raise ImageError("a device node")

    def _content(self, entry: tarfile.TarInfo) -> Iterator[bytes]:
        """Yield a file's data; bound its holes, which take nothing in the archive."""
        allowed = self._limits.ratio_start
        for data in self._entries.chunks(entry):
            yield data
            self._written += len(data)
            if self._written > self._entries.position + allowed:
                raise ImageError(f"holes of more than {allowed} bytes, a bomb")

    def _checked(self, name: str) -> str:
        """Return a path without needless parts. Raises `ImageError`."""
        if name.startswith("/"):
            raise ImageError("an absolute path")
        if "\0" in name:
            raise ImageError("NUL in a name")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise ImageError("leads outside by '..'")
        if len(parts) > self._limits.depth:
            raise ImageError(f"more than {self._limits.depth} directories deep")
        lengths = [len(os.fsencode(part)) for part in parts]
        if max(lengths, default=0) > NAME_MAX or sum(lengths) + len(parts) > PATH_MAX:
            raise ImageError("name too long")
        return "/".join(parts)


def _attributes(entry: tarfile.TarInfo) -> Attributes:
    for kind, number in (("uid", entry.uid), ("gid", entry.gid)):
        if not 0 <= number <= _ID_MAX:
            raise ImageError(f"invalid {kind} {number}")
    if not math.isfinite(entry.mtime) or not -_TIME_MAX <= entry.mtime <= _TIME_MAX:
        raise ImageError(f"invalid time {entry.mtime}")
    return Attributes(
        mode=entry.mode & 0o7777,
        uid=entry.uid,
        gid=entry.gid,
        mtime_ns=int(entry.mtime * 10**9),
        xattrs=_xattrs(entry),
    )


def _xattrs(entry: tarfile.TarInfo) -> dict[str, bytes]:
    found = {}
    for key, value in entry.pax_headers.items():
        name = key.removeprefix(_XATTR)
        if name == key:
            continue
        if name.startswith(_XATTRS_REFUSED):
            raise ImageError(f"attribute {name!r:.80}")
        if name.startswith(XATTRS_KEPT):
            if len(os.fsencode(name)) > NAME_MAX or "\0" in name:
                raise ImageError(f"attribute {name!r:.80}: invalid name")
            content = os.fsencode(value)
            if len(content) > XATTR_MAX:
                raise ImageError(f"attribute {name!r:.80}: {len(content)} bytes")
            found[name] = content
    return found
