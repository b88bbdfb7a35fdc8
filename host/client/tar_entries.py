# SPDX-License-Identifier: Apache-2.0
"""Reads a tar stream of a guest, which is not trusted, in constant memory.

The formats are those that GNU tar, busybox and Python write: ustar (POSIX.1-1988), long
names of GNU tar, and the headers of pax (POSIX.1-2001), of which `path`, `linkpath` and
`size` count. `tarfile` is not used, because it reads headers of any size into memory,
and its filters came with Python 3.11.4.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

BLOCK: Final = 512
HEADER_LIMIT: Final = 64 * 1024
"""Bytes of a long name or of pax headers; Linux has paths of 4096 (PATH_MAX)."""
CHUNK: Final = 256 * 1024


class TarError(Exception):
    """The stream is no archive, or one that is refused; the message is one line."""


class EntryKind(enum.Enum):
    FILE = b"0"
    HARD_LINK = b"1"
    SYMBOLIC_LINK = b"2"
    CHARACTER_DEVICE = b"3"
    BLOCK_DEVICE = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


_PLAIN: Final = {b"0", b"\0", b"7"}
"""Types of regular files; 7 is one that is to be contiguous."""


@dataclass(frozen=True, slots=True)
class TarEntry:
    """One file of an archive."""

    name: bytes
    kind: EntryKind
    mode: int
    size: int
    link: bytes
    """The target of a link."""


class TarEntries:
    """The entries of a stream. The content of one is read before the next."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unread = 0
        self._padding = 0

    def __iter__(self) -> Iterator[TarEntry]:
        """Yield the entries up to the end of the archive. Raises `TarError`."""
        extended: dict[str, bytes] = {}
        while True:
            self._skip()
            block = self._exactly(BLOCK)
            if not any(block):
                # Two blocks of zeros are the end; some writers have one.
                return
            _check_sum(block)
            kind, size = block[156:157], _number(block[124:136])
            if kind in (b"L", b"K", b"x", b"g"):
                header = self._header(size)
                if kind == b"x":
                    extended.update(_pax(header))
                elif kind != b"g":
                    name = "path" if kind == b"L" else "linkpath"
                    extended[name] = header.partition(b"\0")[0]
                continue
            entry = _entry(block, kind, size, extended)
            extended = {}
            self._unread = entry.size
            self._padding = -entry.size % BLOCK
            yield entry

    def content(self) -> Iterator[bytes]:
        """Yield the bytes of the entry that was yielded last."""
        while self._unread:
            data = self._exactly(min(CHUNK, self._unread))
            self._unread -= len(data)
            yield data

    def _skip(self) -> None:
        for _ in self.content():
            pass
        self._exactly(self._padding)
        self._padding = 0

    def _header(self, size: int) -> bytes:
        if size > HEADER_LIMIT:
            raise TarError(f"archive: a header of {size} bytes, over {HEADER_LIMIT}")
        header = self._exactly(size)
        self._exactly(-size % BLOCK)
        return header

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            data = self._file.read(size)
            if not data:
                raise TarError("archive: ends in the middle")
            parts.append(data)
            size -= len(data)
        return b"".join(parts)


def _entry(
    block: bytes, kind: bytes, size: int, extended: dict[str, bytes]
) -> TarEntry:
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
        name = prefix + b"/" + name
    name = extended.get("path", name)
    if kind in _PLAIN:
        # Before POSIX, the slash at the end was a directory's only mark.
        kind = b"5" if kind == b"\0" and name.endswith(b"/") else b"0"
    try:
        known = EntryKind(kind)
    except ValueError:
        raise TarError(f"{shown(name)}: entry of an unknown kind {kind!r}") from None
    if "size" in extended:
        size = _decimal(extended["size"])
    if known is not EntryKind.FILE:
        size = 0
    link = extended.get("linkpath", _text(block[157:257]))
    return TarEntry(name, known, _number(block[100:108]) & 0o7777, size, link)


def shown(name: bytes) -> str:
    """Return a name of an archive for a message."""
    return f"'{name[:200].decode(errors='backslashreplace')}'"


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    """Read octal digits, or GNU tar's binary form of large numbers."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:])
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise TarError("archive: a header is damaged")
    return int(digits or b"0", 8)


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise TarError("archive: a header is damaged")
    return int(digits)


def _check_sum(block: bytes) -> None:
    # The sum counts itself as spaces.
    total = sum(block[:148]) + 8 * ord(" ") + sum(block[156:])
    if _number(block[148:156]) != total:
        raise TarError("archive: a header is damaged, or it is no tar archive")


def _pax(header: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the keywords that count: `LENGTH KEYWORD=VALUE` and a newline each."""
    while header:
        digits, _, _ = header.partition(b" ")
        length = _decimal(digits)
        record = header[len(digits) + 1 : length - 1]
        keyword, equals, value = record.partition(b"=")
        if not equals or length > len(header) or header[length - 1 : length] != b"\n":
            raise TarError("archive: a header is damaged")
        if keyword in (b"path", b"linkpath", b"size"):
            yield keyword.decode(), value
        header = header[length:]
