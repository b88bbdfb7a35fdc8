# SPDX-License-Identifier: Apache-2.0
"""The files of a saved image that is a tar archive, plain or compressed."""

from __future__ import annotations

import contextlib
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from kata_host.image.bounded_reader import BoundedReader
from kata_host.image.compression import MAGIC_SIZE, decompressed, is_compressed
from kata_host.image.digest import DigestReader
from kata_host.image.errors import ImageError
from kata_host.image.file_part import FilePart
from kata_host.image.limits import UnpackLimits
from kata_host.tar.tar_entries import CHUNK, TarEntries
from kata_host.tar.tar_error import TarError

FILES: Final = 20_000
"""Files of one archive: three for a layer, and a few."""
_LINKS: Final = 8
"""Links that may lead to one another; `docker save` wrote links to equal layers."""


@dataclass(frozen=True, slots=True)
class _Member:
    start: int
    size: int
    link: str = ""


class TarSource:
    """Files of an archive in `file`, which stays open."""

    def __init__(self, file: BinaryIO, subject: str) -> None:
        """Find the files. Raises `ImageError`."""
        self._subject = subject
        self._descriptor = file.fileno()
        self._members: dict[str, _Member] = {}
        try:
            for entry in TarEntries(file, subject, FILES):
                self._add(entry)
        except TarError as error:
            raise ImageError(str(error)) from error

    def _add(self, entry: tarfile.TarInfo) -> None:
        name = os.path.normpath(entry.name)
        if entry.issparse():
            where = f"{self._subject}: entry {entry.name!r:.200}"
            raise ImageError(f"{where}: a sparse file")
        if entry.isreg():
            self._members[name] = _Member(entry.offset_data, entry.size)
        elif entry.issym() or entry.islnk():
            around = os.path.dirname(name) if entry.issym() else ""
            link = os.path.normpath(os.path.join(around, entry.linkname))
            self._members[name] = _Member(0, 0, link)

    def has(self, path: str) -> bool:
        return self._find(path) is not None

    def open(self, path: str) -> FilePart:
        subject = f"{self._subject}: file {path!r:.200}"
        member = self._find(path)
        if member is None:
            raise ImageError(f"{subject}: No such file or directory")
        descriptor = self._descriptor
        return FilePart(descriptor, member.start, member.size, subject, owned=False)

    def _find(self, path: str) -> _Member | None:
        member = self._members.get(os.path.normpath(path))
        for _ in range(_LINKS):
            if member is None or not member.link:
                return member
            member = self._members.get(member.link)
        return None


@contextlib.contextmanager
def opened_tar(path: Path, scratch: Path) -> Iterator[TarSource]:
    """Provide the files of an archive; one that is compressed is first unpacked into
    the directory `scratch`.

    Raises `ImageError` or `OSError`.
    """
    subject = f"image '{path}'"
    with contextlib.ExitStack() as stack:
        file: BinaryIO = stack.enter_context(open(path, "rb"))
        if is_compressed(os.pread(file.fileno(), MAGIC_SIZE, 0)):
            file = stack.enter_context(_unpacked(file, scratch, subject))
        yield TarSource(file, subject)


@contextlib.contextmanager
def _unpacked(packed: BinaryIO, scratch: Path, subject: str) -> Iterator[BinaryIO]:
    path = scratch / "archive.tar"
    with contextlib.ExitStack() as stack:
        stack.callback(path.unlink, missing_ok=True)
        source = DigestReader(packed)
        plain = stack.enter_context(decompressed(source))
        bounded = BoundedReader(plain, source, subject, UnpackLimits())
        file = stack.enter_context(open(path, "w+b"))
        while data := bounded.read(CHUNK):
            file.write(data)
        file.flush()
        # A reader of its own, as that of an archive that is not compressed.
        yield stack.enter_context(open(path, "rb"))
