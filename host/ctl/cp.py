# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl cp`: files from the host into guests and containers, and back."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import add_connect_timeout, add_guest_option
from kata_host.ctl.command_parser import is_text, path
from kata_host.ctl.errors import (
    CommandError,
    UsageError,
    guest_errors_as_command_errors,
)
from kata_host.ctl.own_name import own_name
from kata_host.ctl.remark import remark
from kata_host.ctl.signals import run

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "cp",
        help="copy files into a guest or a container, and back",
        usage="%(prog)s [options] SOURCE TARGET",
        description="Copy a file or a directory between the host and a container "
        "(CONTAINER:PATH or GUEST/CONTAINER:PATH) or a guest (GUEST:PATH). If TARGET "
        "is a directory that is there, the copy is put into it; of a SOURCE that ends "
        "in /., only what is in it. In place of a path of the host, - is a tar archive "
        "on standard input or output. Modes, times, symbolic and hard links are kept; "
        "the owner is root in a container, and you on the host. Files stay sparse; "
        "sockets, fifos and devices are left out, and named. Of extended attributes, "
        "user.* is kept both ways and security.capability on the way in, if the "
        "container has GNU tar; a file that has one goes in without its holes. The "
        "container needs sh, tar, test, mv and rm, and dd, chmod and touch for sparse "
        "files.\n\n"
        "A copy that fails, or that Ctrl-C ends, leaves nothing. In a directory that "
        "was there before, files that are whole may stay. A copy that is killed leaves "
        "nothing in a guest, and on this host nothing that the next copy to the same "
        "directory does not remove.\n\n"
        "The root of a local guest is this host's: it can be read, and only what is in "
        "the guest's own /run and /dev/shm can be written.\n\n"
        "What comes from a guest is not trusted: an archive with paths out of its top "
        "is refused; symbolic links out of it and devices are left out, and named; "
        "set-user-ID bits are not kept.\n\n"
        "With --guest, SOURCE is copied by the agent alone, to the path TARGET below "
        "/run/kata-containers/shared/containers, with owners, and that path is "
        "printed. Without TARGET, it has its own name there.",
        epilog="Examples:\n\n"
        "  kata-agent-ctl cp ./site web:/srv\n"
        "  kata-agent-ctl cp one/web:/var/log ./logs\n"
        "  kata-agent-ctl cp --guest one ./site www",
    )
    add_guest_option(parser, required=False)
    add_connect_timeout(parser)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=_word,
        help="what is copied: a path, GUEST:PATH, or -",
    )
    parser.add_argument(
        "name",
        metavar="TARGET",
        nargs="?",
        help="where to; with --guest, the last part of SOURCE by default",
    )
    parser.set_defaults(main=main)


def _word(word: str) -> str:
    """Refuse an empty path. Raises `ArgumentTypeError`."""
    path(word)
    return word


def main(options: argparse.Namespace) -> int:
    if options.guest is not None:
        return _upload(options)
    from kata_host.ctl.copy_place import GuestPlace, parse_place
    from kata_host.ctl.copying import copy_in, copy_out
    from kata_host.keeper.leftovers import remove_leftovers

    if options.name is None:
        raise UsageError("cp: a source and a target are needed")
    with guest_errors_as_command_errors():
        remove_leftovers()
    source = parse_place(options.source, options)
    target = parse_place(options.name, options)
    if isinstance(source, GuestPlace) == isinstance(target, GuestPlace):
        raise UsageError("cp: one of the two must be GUEST:PATH or CONTAINER:PATH")
    if isinstance(target, GuestPlace):
        assert not isinstance(source, GuestPlace)
        run(copy_in(source, target, contents=_is_contents(options.source)))
    else:
        assert isinstance(source, GuestPlace)
        run(copy_out(source, target, contents=_is_contents(options.source)))
    return 0


def _is_contents(word: str) -> bool:
    """Tell whether a source stands for what is in a directory, as docker has it."""
    return word == "." or word.endswith(("/.", ":."))


def _upload(options: argparse.Namespace) -> int:
    """Copy by the agent alone, which needs no program in the guest."""
    source = path(options.source)
    name = own_name(source) if options.name is None else options.name.strip("/")
    if not name:
        raise UsageError(f"{str(source)!r}: needs a name in the guest")
    if not is_text(name):
        raise UsageError(f"{os.fsencode(name)!r}: name is not UTF-8")
    print(run(_copy(options, source, name)))
    return 0


async def _copy(options: argparse.Namespace, source: Path, name: str) -> str:
    from kata_host.client.upload import SHARED, upload
    from kata_host.ctl.target import Target

    target = f"{SHARED}/{name}"
    async with Target.of(options).client() as client:
        left_out = await upload(client.agent, source, target)
    if source in left_out:
        raise CommandError(f"{source}: not a file, a directory or a symbolic link")
    for file in left_out:
        remark(f"left out, as it is no file: {file}")
    return target
