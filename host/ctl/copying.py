# SPDX-License-Identifier: Apache-2.0
"""Copies between the host and a guest, as tar streams, in constant memory.

One end is a tar program in the guest, run by a shell; the other is a thread of ours, or
our own standard stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import tarfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kata_host.client.container_process import process_may_have_ended
from kata_host.ctl.copy_place import GuestPlace
from kata_host.ctl.copy_scripts import CREATE, EXTRACT, NO_ATTRIBUTES, PLACE
from kata_host.ctl.errors import CommandError
from kata_host.ctl.guest_tar import GuestTar
from kata_host.ctl.host_stream import STDIN, STDOUT, HostStream, write_chunks
from kata_host.ctl.own_name import own_name
from kata_host.ctl.progress import Progress
from kata_host.ctl.remark import remark
from kata_host.ctl.silence import answered, unless_silent
from kata_host.explain import explain
from kata_host.tar.packing import packed
from kata_host.tar.part import part_name
from kata_host.tar.placed import placed
from kata_host.tar.tar_error import TarError
from kata_host.tar.unpack_chunks import unpack_chunks
from ttrpc.errors import Closed

if TYPE_CHECKING:
    from kata_host.client import ContainerProcess


async def copy_in(
    source: Path | None, target: GuestPlace, *, contents: bool = False
) -> None:
    """Copy a file or directory, or an archive from standard input, into a guest.

    With `contents`, what is in the directory is put into the target. A copy of a file,
    or to a place where nothing is, is whole or not there.
    """
    progress = Progress(f"copying to {target.path}")
    is_tree = source is not None and _is_tree(source)
    async with (
        progress.shown(),
        target.target.client() as client,
        GuestTar(client, target).ready() as guest,
    ):
        if source is None:
            with _part_of(target.path, progress):
                with contextlib.closing(HostStream(STDIN, writing=False)) as stream:
                    chunks = progress.counted(aiter(stream))
                    command = _script(EXTRACT, target.path)
                    await _extract(guest, command, chunks)
            return
        place, is_there = target, await guest.is_directory(target.path)
        if is_there and not contents:
            place = target.named(own_name(source))
            is_there = await guest.is_directory(place.path)
        if is_there and not is_tree:
            raise CommandError(f"cp: {place.path}: Is a directory")
        with _part_of(place.path, progress, is_there=is_there):
            await _extract_packed(guest, place, source, progress, is_there=is_there)


async def copy_out(
    source: GuestPlace, target: Path | None, *, contents: bool = False
) -> None:
    """Copy a file or directory out of a guest, to a path or as an archive.

    With `contents`, what is in the directory is put into the target. A copy of a file,
    or to a place where nothing is, is whole or not there.
    """
    progress = Progress(f"copying from {source.path}")
    async with (
        progress.shown(),
        source.target.client() as client,
        GuestTar(client, source).ready() as guest,
    ):
        name = "." if contents else source.name
        place = None if target is None else _place(name, target)
        # A name with a hyphen at its beginning is no option.
        name = f"./{source.name}" if source.name[0] == "-" else source.name
        command = _script(CREATE, source.directory, name)
        async with guest.running(command, "stdout") as (process, errors):
            await answered(process.close_stdin(), "tar")
            chunks = progress.counted(_output(process))
            if place is None:
                await write_chunks(chunks, STDOUT)
                await guest.finish(process, await answered(errors, "tar"))
                return
            with _part_of(os.fspath(place), progress, is_there=place.is_dir()):
                async with placed(place) as part:
                    await _unpack(guest, process, errors, chunks, part, place)


def _is_tree(source: Path) -> bool:
    """Tell a directory from a file. Raises `CommandError` for what is neither."""
    try:
        kind = stat.S_IFMT(source.lstat().st_mode)
    except OSError as error:
        raise CommandError(f"cp: {explain(error)}") from error
    if kind not in (stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG):
        raise CommandError(f"{source}: not a file, a directory or a symbolic link")
    return kind == stat.S_IFDIR


@contextlib.contextmanager
def _part_of(
    place: str, progress: Progress, *, is_there: bool = True
) -> Iterator[None]:
    """Say of a directory that it may have a part of the copy, if the block fails."""
    try:
        yield
    except BaseException:
        if is_there and progress.bytes > tarfile.RECORDSIZE:
            remark(f"{place}: may have a part of the copy")
        raise


def _place(name: str, target: Path) -> Path:
    if target.is_dir() and name != ".":
        return target / name
    whole = Path(os.path.abspath(target))
    if not whole.parent.is_dir():
        raise CommandError(f"{whole.parent}: No such directory")
    return whole


async def _extract_packed(
    guest: GuestTar,
    place: GuestPlace,
    source: Path,
    progress: Progress,
    *,
    is_there: bool,
) -> None:
    part = part_name()
    if is_there:
        name, command = ".", _script(PLACE, place.path, part, "")
    else:
        name, command = part, _script(PLACE, place.directory, part, place.path)
    try:
        async with packed(source, name, part=part) as packing:
            chunks = progress.counted(aiter(packing))
            keeps = await _extract(guest, command, chunks)
    except Closed:
        raise
    except OSError as error:
        raise CommandError(f"cp: {explain(error)}") from error
    for path in packing.result.left_out:
        remark(f"left out, as it is no file: {source}{path.removeprefix(name)}")
    if packing.result.has_attributes and not keeps:
        remark(f"{place.path}: without extended attributes, which need GNU tar there")


async def _extract(
    guest: GuestTar, command: Sequence[str], chunks: AsyncIterator[bytes]
) -> bool:
    """Unpack an archive in the guest; tell whether tar keeps extended attributes.

    Raises `CommandError`.
    """
    async with guest.running(command, "stdin", cleans_up=True) as (process, errors):
        # It may have enough before the end.
        with process_may_have_ended():
            async for data in chunks:
                await answered(process.write_stdin(data), "tar")
            await answered(process.close_stdin(), "tar")
        said = await answered(errors, "tar")
        await guest.finish(process, said)
    return NO_ATTRIBUTES.encode() not in said


def _script(script: str, *arguments: str) -> Sequence[str]:
    return ["sh", "-c", script, "sh", *arguments]


async def _unpack(
    guest: GuestTar,
    process: ContainerProcess,
    errors: asyncio.Future[bytes],
    chunks: AsyncIterator[bytes],
    part: Path,
    place: Path,
) -> None:
    """Unpack the program's output at `part`. Raises `CommandError`."""
    try:
        for name in await unpack_chunks(chunks, part, place):
            remark(f"left out, as it leads out of the copy or is no file: {name}")
    except Closed:
        raise
    except (TarError, OSError) as error:
        # The guest may go on for ever.
        with process_may_have_ended():
            await process.signal(signal.SIGKILL)
        if said := await answered(errors, "tar"):
            await guest.finish(process, said)
        raise CommandError(f"cp: {explain(error)}") from error
    await guest.finish(process, await answered(errors, "tar"))


def _output(process: ContainerProcess) -> AsyncIterator[bytes]:
    return unless_silent(process.read_stdout(), "tar")
