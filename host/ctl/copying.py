# SPDX-License-Identifier: Apache-2.0
"""Copies between the host and a guest, as tar streams, in constant memory.

One end is a tar program in the guest; the other is a thread of ours, or our own
standard stream.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from kata_host.client.container_process import process_may_have_ended
from kata_host.ctl.copy_place import GuestPlace
from kata_host.ctl.errors import CommandError
from kata_host.ctl.guest_tar import GuestTar, finish
from kata_host.ctl.host_stream import STDIN, STDOUT, HostStream, write_chunks
from kata_host.ctl.own_name import own_name
from kata_host.ctl.patience import saying
from kata_host.ctl.remark import remark
from kata_host.ctl.silence import answered, unless_silent
from kata_host.explain import explain
from kata_host.tar.packing import packed
from kata_host.tar.tar_error import TarError
from kata_host.tar.unpack_chunks import unpack_chunks
from ttrpc.errors import Closed

if TYPE_CHECKING:
    from kata_host.client import ContainerProcess


async def copy_in(
    source: Path | None, target: GuestPlace, *, contents: bool = False
) -> None:
    """Copy a file or directory, or an archive from standard input, into a guest.

    With `contents`, what is in the directory is put into the target.
    """
    with saying(f"copying to {target.path}"):
        async with (
            target.target.client() as client,
            GuestTar(client, target).ready() as guest,
        ):
            place, directory = target, target.path
            if source is not None:
                if not contents and await guest.is_directory(target.path):
                    place = target.named(own_name(source))
                directory = place.directory
            command = ["tar", "-x", "-p", "-f", "-", "-C", directory]
            async with guest.running(command) as (process, errors):
                if source is None:
                    with contextlib.closing(HostStream(STDIN, writing=False)) as stream:
                        await _feed(process, aiter(stream))
                else:
                    await _feed_packed(process, source, place.name)
                await finish(process, await answered(errors, "tar"))


async def copy_out(
    source: GuestPlace, target: Path | None, *, contents: bool = False
) -> None:
    """Copy a file or directory out of a guest, to a path or as an archive.

    With `contents`, what is in the directory is put into the target.
    """
    with saying(f"copying from {source.path}"):
        async with (
            source.target.client() as client,
            GuestTar(client, source).ready() as guest,
        ):
            name = "." if contents else source.name
            place = None if target is None else _place(name, target)
            # A name with a hyphen at its beginning is no option.
            name = f"./{source.name}" if source.name[0] == "-" else source.name
            command = ["tar", "-c", "-f", "-", "-C", source.directory, name]
            async with guest.running(command) as (process, errors):
                await answered(process.close_stdin(), "tar")
                if place is None:
                    await write_chunks(_output(process), STDOUT)
                elif (refusal := await _unpacked(process, place)) is not None:
                    # The guest may go on for ever.
                    with process_may_have_ended():
                        await process.signal(signal.SIGKILL)
                    if said := await answered(errors, "tar"):
                        await finish(process, said)
                    raise CommandError(f"cp: {refusal}")
                await finish(process, await answered(errors, "tar"))


def _place(name: str, target: Path) -> Path:
    if target.is_dir() and name != ".":
        return target / name
    whole = Path(os.path.abspath(target))
    if not whole.parent.is_dir():
        raise CommandError(f"{whole.parent}: No such directory")
    return whole


async def _feed(process: ContainerProcess, chunks: AsyncIterator[bytes]) -> None:
    """Write chunks to the program, as long as it reads, and end its input."""
    with process_may_have_ended():
        async for data in chunks:
            await answered(process.write_stdin(data), "tar")
        await answered(process.close_stdin(), "tar")


async def _feed_packed(process: ContainerProcess, source: Path, name: str) -> None:
    try:
        async with packed(source, name) as packing:
            await _feed(process, aiter(packing))
    except Closed:
        raise
    except OSError as error:
        raise CommandError(f"cp: {explain(error)}") from error
    for path in packing.left_out:
        remark(f"left out, as it is no file: {path}")


async def _unpacked(process: ContainerProcess, target: Path) -> str | None:
    """Unpack the program's output at `target`; return why it was refused, if it was."""
    try:
        for name in await unpack_chunks(_output(process), target):
            remark(f"left out, as it leads out of the copy or is no file: {name}")
    except Closed:
        raise
    except (TarError, OSError) as error:
        return explain(error)
    return None


def _output(process: ContainerProcess) -> AsyncIterator[bytes]:
    return unless_silent(process.read_stdout(), "tar")
