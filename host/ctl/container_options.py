# SPDX-License-Identifier: Apache-2.0
"""The options of `run` that describe a container, named as docker's."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Final

from kata_host.ctl.command_parser import text
from kata_host.ctl.errors import UsageError
from kata_host.ctl.published import published_port
from kata_host.option_types import count, size

if TYPE_CHECKING:
    from kata_host.client.limits import Limits
    from kata_host.client.volume import Volume
    from kata_protos import oci_pb2

ANNOTATION: Final = "org.kata-agent-ctl."
"""Prefix of the annotations that say how a container was asked for."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,127}", re.ASCII)


def add_container_options(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--name",
        type=container_name,
        help="name of the container, which is its id (default: a new one)",
    )
    parser.add_argument(
        "--hostname",
        type=text,
        help="host name of the guest, which all its containers have; not with --guest",
    )
    parser.add_argument(
        "-v",
        "--volume",
        action="append",
        default=[],
        type=text,
        metavar="SRC:DST[:ro]",
        help="show a file or directory of this host in the container, in a VM by "
        "virtiofsd; may be repeated",
    )
    parser.add_argument(
        "-p",
        "--publish",
        action="append",
        default=[],
        type=published_port,
        metavar="[[ADDRESS:]PORT:]TARGET",
        help="have a port of the container, or a unix socket, on a port of this host "
        "(default: a free one of 127.0.0.1) while the container runs; the guest needs "
        "no network; may be repeated",
    )
    parser.add_argument(
        "--tmpfs",
        action="append",
        default=[],
        type=text,
        metavar="DIR[:OPTIONS]",
        help="mount an empty file system in memory, /run:size=64m for example",
    )
    parser.add_argument(
        "--read-only", action="store_true", help="make the root file system read-only"
    )
    parser.add_argument(
        "--init",
        action="store_true",
        help="have tini as the first process, which reaps processes and passes signals "
        "on; PID 1 in a guest of the command's own",
    )
    parser.add_argument(
        "--cpus", type=_cpus, metavar="NUMBER", help="CPUs' worth of time, such as 0.5"
    )
    parser.add_argument(
        "-m", "--memory", type=size, metavar="SIZE", help="memory, such as 512m"
    )
    parser.add_argument(
        "--pids",
        "--pids-limit",
        dest="pids",
        type=count,
        metavar="NUMBER",
        help="processes and threads",
    )
    parser.add_argument(
        "--ulimit",
        action="append",
        default=[],
        type=text,
        metavar="TYPE=SOFT[:HARD]",
        help="a resource limit, nofile=1024 for example; -1 is no limit",
    )
    parser.add_argument(
        "--cap-add",
        action="append",
        default=[],
        metavar="CAPABILITY",
        help="give a capability, such as NET_ADMIN, or ALL",
    )
    parser.add_argument(
        "--cap-drop",
        action="append",
        default=[],
        metavar="CAPABILITY",
        help="take a capability away, or ALL; --cap-add has the last word",
    )


def container_name(word: str) -> str:
    """Read a container's name. Raises `ArgumentTypeError`."""
    if not _NAME.fullmatch(word):
        raise argparse.ArgumentTypeError(
            f"container {word!r}: not 2 to 128 letters, digits, '_', '.' and '-' that "
            "begin with a letter or digit"
        )
    return word


def _cpus(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"cpus {word!r}: not a number") from None


def limits_of(options: argparse.Namespace) -> Limits:
    """Return the limits that the options set. Raises `UsageError`."""
    from kata_host.client.limits import Limits

    try:
        return Limits(memory=options.memory, cpus=options.cpus, pids=options.pids)
    except ValueError as error:
        raise UsageError(f"--{error}") from error


def volumes_of(options: argparse.Namespace) -> list[Volume]:
    """Return the volumes, with the whole paths of this host. Raises `UsageError`."""
    from kata_host.client.volume import Volume

    try:
        volumes = [Volume.parse(word) for word in options.volume]
    except ValueError as error:
        raise UsageError(f"--{error}") from error
    return [
        Volume(os.path.realpath(each.source), each.destination, each.read_only)
        for each in volumes
    ]


def spec_of(
    options: argparse.Namespace,
    name: str,
    rootfs: str,
    volumes: list[Volume],
    words: str,
) -> oci_pb2.Spec:
    """Return the container that the options ask for. Raises `UsageError`.

    `rootfs` is a path of the guest, and so are the sources of `volumes`; `words` are
    those of `rootfs_words`.
    """
    from kata_host.client.privileges import adjusted_capabilities, parse_rlimit
    from kata_host.client.spec import default_process, default_spec
    from kata_host.client.volume import tmpfs_mount
    from kata_host.ctl import terminal
    from kata_host.ctl.host_stream import STDIN
    from kata_host.ctl.init_program import behind_init

    command = options.command
    try:
        process = default_process(
            behind_init(command) if options.init else command,
            env=options.environment,
            cwd=options.cwd or "/",
            terminal=options.tty,
            capabilities=adjusted_capabilities(options.cap_add, options.cap_drop),
            rlimits=map(parse_rlimit, options.ulimit),
        )
        mounts = [
            *map(tmpfs_mount, options.tmpfs),
            *(volume.to_mount() for volume in volumes),
        ]
    except ValueError as error:
        raise UsageError(str(error)) from error
    if options.tty and (size := terminal.size(STDIN)):
        process.ConsoleSize.Height, process.ConsoleSize.Width = size
    return default_spec(
        name,
        process,
        rootfs=rootfs,
        readonly=options.read_only,
        mounts=mounts,
        limits=limits_of(options),
        annotations={f"{ANNOTATION}rootfs": words},
    )


def rootfs_words(options: argparse.Namespace, default: str = "busybox") -> str:
    """Return what the root file system is made of, in the user's words.

    `default` is what a container has without them.
    """
    if options.image is not None:
        return str(options.image)
    return default if options.rootfs is None else str(options.rootfs)
