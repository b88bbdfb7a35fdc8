# SPDX-License-Identifier: Apache-2.0
"""The entries of a tar archive from a stranger, one after the other.

`tarfile` reads the formats (ustar, pax, GNU); here its memory is bounded, because it
believes the sizes of headers and remembers every entry.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from typing import IO, Any, Final, cast

from kata_host.tar.readable import Readable
from kata_host.tar.tar_error import TarError

CHUNK: Final = 1 << 18
"""Bytes of one read; a header that is larger, or a pax record, is refused."""
BLOCK: Final = tarfile.BLOCKSIZE
GLOBAL_RECORDS: Final = 64
"""Pax records that hold for all following entries."""
_FAULTS: Final = (tarfile.TarError, ValueError, OverflowError, RecursionError, EOFError)


class TarEntries:
    """Iterates over the entries of `stream`; `subject` is in front of each error.

    A stream that can seek skips the files whose data is not asked for.
    """

    def __init__(
        self, stream: Readable, subject: str = "archive", entries: int | None = None
    ) -> None:
        """`entries` is the largest number of them, if there is one."""
        self._subject = subject
        self._limit = entries
        self._stream = _Forwards(stream)
        self._tar: tarfile.TarFile | None = None

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """Raises `TarError`."""
        count = 0
        last = "the start"
        while (entry := self._next(last)) is not None:
            count += 1
            last = f"entry {entry.name!r:.200}"
            if self._limit is not None and count > self._limit:
                raise TarError(f"{self._subject}: more than {self._limit} entries")
            if entry.size < 0:
                raise TarError(f"{self._subject}: {last}: negative size")
            yield entry

    def _next(self, last: str) -> tarfile.TarInfo | None:
        try:
            if self._tar is None:
                self._tar = tarfile.TarFile(
                    fileobj=cast(IO[bytes], self._stream),
                    encoding="utf-8",
                    errors="surrogateescape",
                )
            elif self._stream.ends_before(self._tar.offset):
                # Some writers, as umoci, leave out the padding of the last file.
                return None
            entry = self._tar.next()
            if entry is None and self._stream.last.strip(b"\0"):
                # `tarfile` takes a damaged header for the end.
                raise tarfile.ReadError("damaged header")
        except _FAULTS as error:
            if isinstance(error, RecursionError):
                error = ValueError("too many headers before one entry")
            raise TarError(f"{self._subject}: after {last}: {error}") from error
        # It would keep every entry.
        vars(self._tar)["members"].clear()
        if len(self._tar.pax_headers) > GLOBAL_RECORDS:
            raise TarError(f"{self._subject}: after {last}: too many global records")
        return entry

    @property
    def position(self) -> int:
        """Bytes of the archive that have been read or skipped."""
        return self._stream.tell()

    def chunks(self, entry: tarfile.TarInfo) -> Iterator[bytes]:
        """Yield the data of the entry that came last, `entry.size` bytes.

        Raises `TarError` if the archive ends before.
        """
        assert self._tar is not None
        left = entry.size
        try:
            file = self._tar.extractfile(entry)
            assert file is not None
            while left:
                data = file.read(min(left, CHUNK))
                if not data:
                    raise EOFError("unexpected end of data")
                left -= len(data)
                yield data
        except _FAULTS as error:
            where = f"{self._subject}: entry {entry.name!r:.200}"
            raise TarError(f"{where}: {error}") from error


class _Forwards:
    """The file that `tarfile` sees: its reads are bounded, it seeks forwards."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._position = 0
        self.last = b""
        """What the last read has returned; at the end of an archive, its zeros."""
        self._seek: Any = stream.seek if isinstance(stream, io.BufferedReader) else None

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= CHUNK:
            raise ValueError(f"header of {size} bytes, more than {CHUNK}")
        parts = []
        while size and (data := self._stream.read(size)):
            parts.append(data)
            size -= len(data)
            self._position += len(data)
        self.last = b"".join(parts)
        return self.last

    def ends_before(self, header: int) -> bool:
        """Read the padding in front of a header; tell whether the stream ends there."""
        padding = header - self._position
        return 0 < padding < BLOCK and len(self.read(padding)) < padding

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or position < self._position:
            raise ValueError("damaged header")
        if self._seek is not None:
            self._position = self._seek(position)
        while self._position < position:
            if not self.read(min(position - self._position, CHUNK)):
                raise EOFError("unexpected end of data")
        return self._position

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True
