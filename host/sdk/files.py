# SPDX-License-Identifier: Apache-2.0
"""The files of a box or of a guest, as their processes see them.

Everything is done by a process inside, with a busybox of ours. So names lead where
they lead inside, volumes too. What comes out is as trustworthy as the box: a hostile
one can only fill the folder that it is written to (`kata_host.tar.unpack`), up to the
limit of a call. What is written is whole or not there, wherever its folder takes new
files.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import re
import stat
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Sequence,
)
from pathlib import Path
from typing import BinaryIO, Final

from kata_host.errors import FileError, NotFound, SandboxError
from kata_host.explain import explain
from kata_host.printable import printable
from kata_host.quantities import to_size
from kata_host.sdk import file_scripts
from kata_host.sdk.file_info import STAT, FileInfo, parse_info
from kata_host.sdk.process import Process
from kata_host.sdk.user import User, to_user
from kata_host.tar.packing import packed
from kata_host.tar.part import part_name
from kata_host.tar.placed import placed
from kata_host.tar.tar_error import TarError
from kata_host.tar.unpack_chunks import unpack_chunks
from kata_host.uncancelled import uncancelled
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

CLEAN_UP_TIMEOUT: Final = 10.0
"""Seconds that removing what is not whole may take."""
_OWNER: Final = re.compile(r"\d{1,10}:\d{1,10}", re.ASCII)
_MISSING: Final = "No such file or directory"
_ERROR_SIZE: Final = 4096
"""Bytes of an error that are kept."""


class Files:
    """Reads and writes files. Paths are absolute, or below the box's `cwd`.

    New files belong to the box's user, unless a call names another; the work is done by
    the box's root, whoever owns the files. Each method raises `NotFound` if the path is
    not there, `FileError` if the box refuses, and the other errors of `SandboxError`.

    `guest.files` are those of the guest itself. A virtual machine's may all be written.
    The root of a local guest is this host's: there only what is in the guest's own
    `/run` and `/dev/shm` can be changed, and all can be read.
    """

    def __init__(
        self,
        start: Callable[[Sequence[str]], Process],
        owner: oci_pb2.User,
        explained: Callable[[str], str] = str,
    ) -> None:
        """`start` starts a command of busybox as root, with `B` in its environment;
        `explained` adds the cause to the reason of a refusal."""
        self._start = start
        self._owner = owner
        self._explained = explained

    async def write(
        self,
        path: str,
        content: bytes | str,
        *,
        mode: int = FILE_MODE,
        user: User | None = None,
    ) -> None:
        """Make the file, or replace it; missing folders are made too.

        A symbolic link is followed. At an error the file is as it was.
        """
        data = content.encode() if isinstance(content, str) else content
        parts = iter([data, b""])

        async def give() -> bytes:
            return next(parts)

        await self._write(path, mode, len(data), give, user, None)

    async def read(self, path: str, *, limit: int | str = READ_LIMIT) -> bytes:
        """Return the whole content of a file; raise `FileError` for a larger one.

        `limit` is in bytes, or a text such as `1m`: what a hostile box says is a file
        may have no end. Raises `ValueError` for a limit that is not one.
        """
        command = _script(file_scripts.READ, path)
        return await self._output(path, *command, limit=to_size(limit))

    async def stat(self, path: str) -> FileInfo:
        """Return what a file is; a symbolic link is not followed."""
        output = await self._output(path, *STAT, "--", path)
        return parse_info(output.decode(errors="surrogateescape"))

    async def list(self, path: str) -> list[FileInfo]:
        """Return what is in a folder, sorted by name."""
        # No name in the box ends with it and a line.
        mark = f"/{os.urandom(8).hex()}"
        script = (
            f"{file_scripts.LIST}\"$B\" {STAT[0]} {STAT[1]} '{STAT[2]}{mark}' -- {{}} +"
        )
        output = await self._output(path, *_script(script, path))
        text = output.decode(errors="surrogateescape")
        infos = [parse_info(part) for part in text.split(f"{mark}\n")[:-1]]
        for info in infos:
            # A guest may say so, and the caller may make a path of it.
            if "/" in info.name or info.name in ("", ".", ".."):
                raise FileError(f"file {path!r}: holds no file of name {info.name!r}")
        return sorted(infos, key=lambda info: info.name)

    async def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it."""
        await self._output(path, *_script(file_scripts.REMOVE, path))

    async def upload(
        self,
        source: str | os.PathLike[str],
        path: str,
        *,
        user: User | None = None,
        progress: Progress | None = None,
    ) -> Sequence[str]:
        """Copy a file of this host to `path`, or what is in a folder into `path`.

        Modes and times are kept; the owner is the user. Takes the memory of one chunk.
        At an error nothing of it is there, but in a folder that was there before.
        Returns the names of what is left out of a folder: device nodes, fifos and
        sockets.
        """
        origin = Path(source)
        with _host_errors(origin):
            if await asyncio.to_thread(origin.is_dir):
                return await self._upload_tree(origin, path, user, progress)
            with await asyncio.to_thread(_opened, origin) as file:
                status = os.fstat(file.fileno())

                async def give() -> bytes:
                    return await asyncio.to_thread(file.read, CHUNK)

                mode = status.st_mode & 0o777
                await self._write(path, mode, status.st_size, give, user, progress)
        return ()

    async def download(
        self,
        path: str,
        target: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
    ) -> Sequence[str]:
        """Copy a file of the box to `target`, or what is in a folder into `target`.

        The owner is this program's user. Takes the memory of one chunk. At an error
        nothing of it is there, but in a folder that was there before. Returns the names
        of what is left out of a folder: symbolic links that lead out of it, device
        nodes and fifos.
        """
        goal = Path(target)
        is_dir = (await self.stat(path)).is_dir
        with _host_errors(goal):
            if is_dir:
                return await self._download_tree(path, goal, progress)
            whole = await asyncio.to_thread(goal.resolve)
            async with placed(whole) as part:
                with await asyncio.to_thread(open, part, "wb") as file:
                    command = _script(file_scripts.READ, path)
                    chunks = self._chunks(path, command, progress)
                    async with contextlib.aclosing(chunks):
                        async for data in chunks:
                            await asyncio.to_thread(file.write, data)
        return ()

    async def _upload_tree(
        self, source: Path, path: str, user: User | None, progress: Progress | None
    ) -> Sequence[str]:
        path = path.rstrip("/") or "/"
        owner = await self._ids(user)
        uid, gid = map(int, owner.split(":"))
        part = part_name()
        is_there = await self._output(
            path, *_script(file_scripts.NEW_TREE, path, owner, part)
        )
        place = path if is_there else posixpath.join(posixpath.dirname(path), part)
        try:
            async with packed(source, ".", (uid, gid)) as packing:
                command = ["tar", "-x", "-f", "-", "-C", place]
                await self._feed(command, path, packing.read, progress)
            if not is_there:
                await self._output(path, *_script(file_scripts.PLACE_TREE, path, part))
        except BaseException:
            if not is_there:
                await uncancelled(self._drop_tree(path, part))
            raise
        return packing.result.left_out

    async def _drop_tree(self, path: str, part: str) -> None:
        # The error before is the one that counts.
        with contextlib.suppress(SandboxError, TimeoutError):
            async with asyncio.timeout(CLEAN_UP_TIMEOUT):
                await self._output(path, *_script(file_scripts.DROP_TREE, path, part))

    async def _download_tree(
        self, path: str, target: Path, progress: Progress | None
    ) -> Sequence[str]:
        command = ["tar", "-c", "-f", "-", "-C", path, "."]
        chunks = self._chunks(path, command, progress)
        try:
            async with contextlib.aclosing(chunks):
                whole = await asyncio.to_thread(target.resolve)
                parents = whole.parent
                await asyncio.to_thread(parents.mkdir, parents=True, exist_ok=True)
                async with placed(whole) as part:
                    return await unpack_chunks(chunks, part, whole)
        except TarError as error:
            raise FileError(f"{target}: {error}") from error

    async def _write(
        self,
        path: str,
        mode: int,
        size: int,
        give: _Give,
        user: User | None,
        progress: Progress | None,
    ) -> None:
        owner = await self._ids(user)
        command = _script(
            file_scripts.WRITE, path, owner, f"{mode:o}", f"{size}", part_name()
        )
        await self._feed(command, path, _exactly(size, give), progress)

    async def _ids(self, user: User | None) -> str:
        """Return `UID:GID` of a user, by default the box's."""
        found = self._owner if user is None else to_user(user)
        if not found.Username:
            return f"{found.UID}:{found.GID}"
        output = await self._output(
            found.Username, *_script(file_scripts.IDS, found.Username)
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
        async with self._start(args) as process:
            await process.close_stdin()
            async with self._error_of(process, path):
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
        async with self._start(args) as process:
            try:
                async with self._error_of(process, path):
                    while data := await give():
                        await process.write(data)
                        count += len(data)
                        if progress is not None:
                            progress(count)
                    await process.close_stdin()
            except BaseException:
                await uncancelled(_end_early(process))
                raise

    @contextlib.asynccontextmanager
    async def _error_of(self, process: Process, path: str) -> AsyncIterator[None]:
        """Read its standard error beside the block; raise it if the process failed."""

        collecting = asyncio.create_task(_beginning(aiter(process.stderr)))
        try:
            yield
            error = (await collecting).decode(errors="replace").strip()
            if await process.wait() != 0:
                line = (error.splitlines() or ["failed"])[0]
                kind = NotFound if line.endswith(_MISSING) else FileError
                reason = self._explained(printable(line.rpartition(": ")[2]))
                raise kind(f"file {path!r}: {reason}")
        finally:
            collecting.cancel()
            await asyncio.wait([collecting])


async def _beginning(chunks: AsyncIterator[bytes]) -> bytes:
    """Return the first bytes of an error, and read it to its end."""
    kept = b""
    async for data in chunks:
        kept = (kept + data)[:_ERROR_SIZE]
    return kept


async def _end_early(process: Process) -> None:
    """End its input, so that it removes what it has made of a part of it."""
    with contextlib.suppress(SandboxError, TimeoutError):
        async with asyncio.timeout(CLEAN_UP_TIMEOUT):
            await process.close_stdin()
            await process.wait()


def _exactly(size: int, give: _Give) -> _Give:
    """Return what gives `size` bytes of a file. It raises `FileError` for fewer."""
    left = size

    async def give_exactly() -> bytes:
        nonlocal left
        data = (await give())[:left]
        if left and not data:
            raise FileError("file: has become shorter while it was copied")
        left -= len(data)
        return data

    return give_exactly


def _script(script: str, *arguments: str) -> Sequence[str]:
    return ["sh", "-c", script, "sh", *arguments]


def _opened(path: Path) -> BinaryIO:
    """Open a regular file. Raises `FileError` for others, which may have no end."""
    # A fifo is not waited for.
    file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise FileError(f"file '{path}': not a regular file")
    return file


@contextlib.contextmanager
def _host_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"file '{path}': {error.strerror}") from error
    except OSError as error:
        raise FileError(explain(error)) from error
