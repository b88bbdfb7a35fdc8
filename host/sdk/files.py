# SPDX-License-Identifier: Apache-2.0
"""The files of a box, as its processes see them.

Everything is done by a process in the box, with the busybox that each box has. So names
lead where they lead inside, volumes too. What comes out is as trustworthy as the box:
a hostile one can only fill the folder that it is written to (`kata_host.tar.unpack`),
up to the limit of a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Sequence,
)
from pathlib import Path
from typing import Final, Protocol

from kata_host.errors import FileError, NotFound
from kata_host.explain import explain
from kata_host.printable import printable
from kata_host.quantities import to_size
from kata_host.sdk.file_info import STAT, FileInfo, parse_info
from kata_host.sdk.process import Process
from kata_host.sdk.tools import PLACE
from kata_host.sdk.user import User, to_user
from kata_host.tar.packing import packed
from kata_host.tar.tar_error import TarError
from kata_host.tar.unpack_chunks import unpack_chunks
from kata_protos import oci_pb2

CHUNK: Final = 256 << 10
"""Bytes of a file that are read at a time."""
FILE_MODE: Final = 0o644
READ_LIMIT: Final = 1 << 30
"""Bytes of a file that `read` returns at the most, unless the call says otherwise."""
_ANSWER_LIMIT: Final = 64 << 20
"""Bytes of what a box may say of its files."""
Progress = Callable[[int], object]
"""Called with the bytes so far, after each chunk."""

_Give = Callable[[], Awaitable[bytes]]
"""Returns the next bytes, b"" at their end."""

_FOLDER: Final = (
    f'B={PLACE}; folder() {{ "$B" test -d "$1" || '
    '{ "$B" mkdir -p -- "$1" && "$B" chown "$2" -- "$1"; }; }; '
)
"""Makes the folder $1 for the owner $2, unless it is there."""
_WRITE: Final = (
    f'{_FOLDER} folder "$("$B" dirname -- "$1")" "$2" && "$B" cat > "$1" && '
    '"$B" chown "$2" -- "$1" && "$B" chmod "$3" -- "$1"'
)
_UNPACK: Final = f'{_FOLDER} folder "$1" "$2" && "$B" tar -x -f - -C "$1"'
_IDS: Final = f'{PLACE} id -u -- "$1" && {PLACE} id -g -- "$1"'
_LIST: Final = f'B={PLACE}; cd -- "$1" && "$B" find . -mindepth 1 -maxdepth 1 -exec '
_REMOVE: Final = f'B={PLACE}; "$B" stat -- "$1" >/dev/null && "$B" rm -rf -- "$1"'
_OWNER: Final = re.compile(r"\d{1,10}:\d{1,10}", re.ASCII)
_MISSING: Final = "No such file or directory"
_ERROR_SIZE: Final = 4096
"""Bytes of an error that are kept."""


class Starter(Protocol):
    """`Box.start`, as far as files need it."""

    def __call__(self, args: Sequence[str], *, user: User | None = None) -> Process: ...


class Files:
    """Reads and writes files. Paths are absolute, or below the box's `cwd`.

    New files belong to the box's user, unless a call names another; the work is done by
    the box's root, whoever owns the files. Each method raises `NotFound` if the path is
    not there, `FileError` if the box refuses, and the other errors of `SandboxError`.
    """

    def __init__(self, start: Starter, owner: oci_pb2.User) -> None:
        self._start = start
        self._owner = owner

    async def write(
        self,
        path: str,
        content: bytes | str,
        *,
        mode: int = FILE_MODE,
        user: User | None = None,
    ) -> None:
        """Make the file, or replace what is in it; missing folders are made too."""
        data = content.encode() if isinstance(content, str) else content
        parts = iter([data, b""])

        async def give() -> bytes:
            return next(parts)

        await self._write(path, mode, give, user, None)

    async def read(self, path: str, *, limit: int | str = READ_LIMIT) -> bytes:
        """Return the whole content of a file; raise `FileError` for a larger one.

        `limit` is in bytes, or a text such as `1m`: what a hostile box says is a file
        may have no end. Raises `ValueError` for a limit that is not one.
        """
        return await self._output(path, "cat", "--", path, limit=to_size(limit))

    async def stat(self, path: str) -> FileInfo:
        """Return what a file is; a symbolic link is not followed."""
        output = await self._output(path, *STAT, "--", path)
        return parse_info(output.decode(errors="surrogateescape"))

    async def list(self, path: str) -> list[FileInfo]:
        """Return what is in a folder, sorted by name."""
        # No name in the box ends with it and a line.
        mark = f"/{os.urandom(8).hex()}"
        script = f"{_LIST}\"$B\" {STAT[0]} {STAT[1]} '{STAT[2]}{mark}' -- {{}} +"
        output = await self._output(path, "sh", "-c", script, "sh", path)
        text = output.decode(errors="surrogateescape")
        infos = [parse_info(part) for part in text.split(f"{mark}\n")[:-1]]
        for info in infos:
            # A guest may say so, and the caller may make a path of it.
            if "/" in info.name or info.name in ("", ".", ".."):
                raise FileError(f"file {path!r}: holds no file of name {info.name!r}")
        return sorted(infos, key=lambda info: info.name)

    async def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it."""
        await self._output(path, "sh", "-c", _REMOVE, "sh", path)

    async def upload(
        self,
        source: str | os.PathLike[str],
        path: str,
        *,
        user: User | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Copy a file of this host to `path`, or what is in a folder into `path`.

        Modes and times are kept; the owner is the user. Takes the memory of one chunk.
        """
        origin = Path(source)
        with _host_errors(origin):
            if await asyncio.to_thread(origin.is_dir):
                await self._upload_tree(origin, path, user, progress)
                return
            with await asyncio.to_thread(open, origin, "rb") as file:
                mode = os.fstat(file.fileno()).st_mode & 0o777

                async def give() -> bytes:
                    return await asyncio.to_thread(file.read, CHUNK)

                await self._write(path, mode, give, user, progress)

    async def download(
        self,
        path: str,
        target: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
    ) -> Sequence[str]:
        """Copy a file of the box to `target`, or what is in a folder into `target`.

        The owner is this program's user. Takes the memory of one chunk. `target` may
        have a part of it after an error. Returns the names of what is left out of a
        folder: symbolic links that lead out of it, device nodes and fifos.
        """
        goal = Path(target)
        is_dir = (await self.stat(path)).is_dir
        with _host_errors(goal):
            if is_dir:
                return await self._download_tree(path, goal, progress)
            with await asyncio.to_thread(open, goal, "wb") as file:
                chunks = self._chunks(path, ["cat", "--", path], progress)
                async with contextlib.aclosing(chunks):
                    async for data in chunks:
                        await asyncio.to_thread(file.write, data)
        return ()

    async def _upload_tree(
        self, source: Path, path: str, user: User | None, progress: Progress | None
    ) -> None:
        owner = await self._ids(user)
        uid, gid = map(int, owner.split(":"))
        async with packed(source, ".", (uid, gid)) as packing:
            command = ["sh", "-c", _UNPACK, "sh", path, owner]
            await self._feed(command, path, packing.read, progress)

    async def _download_tree(
        self, path: str, target: Path, progress: Progress | None
    ) -> Sequence[str]:
        await asyncio.to_thread(target.mkdir, parents=True, exist_ok=True)
        command = ["tar", "-c", "-f", "-", "-C", path, "."]
        chunks = self._chunks(path, command, progress)
        try:
            async with contextlib.aclosing(chunks):
                whole = await asyncio.to_thread(target.resolve)
                return await unpack_chunks(chunks, whole)
        except TarError as error:
            raise FileError(f"{target}: {error}") from error

    async def _write(
        self,
        path: str,
        mode: int,
        give: _Give,
        user: User | None,
        progress: Progress | None,
    ) -> None:
        owner = await self._ids(user)
        command = ["sh", "-c", _WRITE, "sh", path, owner, f"{mode:o}"]
        await self._feed(command, path, give, progress)

    async def _ids(self, user: User | None) -> str:
        """Return `UID:GID` of a user, by default the box's."""
        found = self._owner if user is None else to_user(user)
        if not found.Username:
            return f"{found.UID}:{found.GID}"
        output = await self._output(
            found.Username, "sh", "-c", _IDS, "sh", found.Username
        )
        ids = ":".join(output.decode(errors="replace").split())
        if not _OWNER.fullmatch(ids):
            raise FileError(f"user {found.Username!r}: the box says {ids[:80]!r} of it")
        return ids

    async def _output(self, path: str, *args: str, limit: int = _ANSWER_LIMIT) -> bytes:
        output = bytearray()
        async with contextlib.aclosing(self._chunks(path, args)) as chunks:
            async for data in chunks:
                if len(output) + len(data) > limit:
                    raise FileError(f"file {path!r}: more than {limit} bytes")
                output.extend(data)
        return bytes(output)

    async def _chunks(
        self, path: str, args: Sequence[str], progress: Progress | None = None
    ) -> AsyncGenerator[bytes]:
        """Run a command of busybox, and yield what it writes."""
        count = 0
        async with self._start([PLACE, *args], user=0) as process:
            await process.close_stdin()
            async with _error_of(process, path):
                async for data in process:
                    yield data
                    count += len(data)
                    if progress is not None:
                        progress(count)

    async def _feed(
        self,
        args: Sequence[str],
        path: str,
        give: _Give,
        progress: Progress | None,
    ) -> None:
        """Run a command of busybox with the bytes as its input."""
        count = 0
        async with self._start([PLACE, *args], user=0) as process:
            async with _error_of(process, path):
                while data := await give():
                    await process.write(data)
                    count += len(data)
                    if progress is not None:
                        progress(count)
                await process.close_stdin()


async def _beginning(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the first bytes of an error, and read it to its end."""
    kept = b""
    async for data in chunks:
        kept = (kept + data)[:_ERROR_SIZE]
    return kept


@contextlib.asynccontextmanager
async def _error_of(process: Process, path: str) -> AsyncIterator[None]:
    """Read its standard error beside the block; raise it if the process has failed."""

    collecting = asyncio.create_task(_beginning(aiter(process.stderr)))
    try:
        yield
        error = (await collecting).decode(errors="replace").strip()
        if await process.wait() != 0:
            line = (error.splitlines() or ["failed"])[0]
            kind = NotFound if line.endswith(_MISSING) else FileError
            raise kind(f"file {path!r}: {printable(line.rpartition(': ')[2])}")
    finally:
        collecting.cancel()
        await asyncio.wait([collecting])


@contextlib.contextmanager
def _host_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"file '{path}': {error.strerror}") from error
    except OSError as error:
        raise FileError(explain(error)) from error
