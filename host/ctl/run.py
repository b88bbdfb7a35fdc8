# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl run`: a command in a container of its own, like `docker run --rm`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kata_host.ctl.arguments import (
    FAILED,
    add_command_argument,
    add_process_arguments,
    check_process,
    environment_of,
)
from kata_host.ctl.errors import CommandError
from kata_host.ctl.signals import ended_by_signals

if TYPE_CHECKING:
    from kata_host.client import AgentClient
    from kata_host.ctl.__main__ import Subparsers
    from kata_host.ctl.target import Target

CONNECT_TIMEOUT: Final = 5.0


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run a command in a container of its own",
        usage="%(prog)s [options] -- COMMAND [ARG...]",
        description="Run a command in a new container and remove the container. "
        "Input, output, signals and exit status are those of the command: 128+n when "
        "signal n ended it, 125 when the guest or the agent failed.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--local",
        action="store_true",
        help="in a local guest: namespaces of this host, no VM (the default)",
    )
    where.add_argument("--vm", action="store_true", help="in a VM of its own")
    where.add_argument("--address", help="in a guest that runs already")
    parser.add_argument(
        "--connect-timeout",
        type=float,
        default=CONNECT_TIMEOUT,
        metavar="SECONDS",
        help="how long to try --address (default: %(default)s)",
    )
    parser.add_argument(
        "--rootfs",
        type=Path,
        metavar="DIR|TAR",
        help="root file system of the container; without it, busybox, or with --vm "
        "the image of the guest",
    )
    add_process_arguments(parser)
    parser.add_argument(
        "--pid",
        choices=("sandbox", "container"),
        default="sandbox",
        help="whose pid namespace: with `container` the command is PID 1, and "
        "signals that it does not handle do nothing",
    )
    parser.add_argument("--trace", action="store_true", help="show what it took")
    parser.add_argument(
        "--debug", action="store_true", help="show the agent's log on standard error"
    )
    parser.add_argument(
        "--cgroup",
        choices=("auto", "v1", "v2"),
        default="auto",
        help="what a local guest has (default: what the host uses)",
    )
    add_command_argument(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    from kata_host.ctl.rootfs import check_source, prepared

    started = time.time_ns()
    check_process(options)
    check_source(options.rootfs)
    if options.trace and options.address is not None:
        raise CommandError("--trace: needs a guest of its own", FAILED)
    environment = environment_of(options.env)
    with _target(options) as target, contextlib.ExitStack() as stack:
        rootfs = None
        if options.rootfs is not None or target.own_rootfs is None:
            rootfs = stack.enter_context(prepared(options.rootfs, target.scratch))
        return asyncio.run(_run(options, environment, target, rootfs, started))


@contextlib.contextmanager
def _target(options: argparse.Namespace) -> Iterator[Target]:
    from kata_host.ctl.target import Target, local_guest, vm_guest

    if options.address is not None:
        yield Target(options.address, timeout=options.connect_timeout)
        return
    with vm_guest(options) if options.vm else local_guest(options) as target:
        yield target


async def _run(
    options: argparse.Namespace,
    environment: dict[str, str],
    target: Target,
    rootfs: Path | None,
    started: int,
) -> int:
    from kata_host.client.identifier import new_id

    name = new_id()
    async with contextlib.AsyncExitStack() as stack:
        # For as long as there is no process to pass them on to.
        stack.enter_context(ended_by_signals())
        interceptors = []
        if options.trace:
            from kata_host.ctl.run_trace import Recording

            assert target.guest is not None
            recording = Recording(target.guest, "kata-agent-ctl run", started)
            await stack.enter_async_context(recording)
            interceptors.append(recording.interceptor)
        client = await stack.enter_async_context(target.client(interceptors))
        if target.guest is not None:
            share_pids = options.pid == "sandbox"
            await client.create_sandbox(name, share_pids=share_pids)
        lower = await _place(client, options, target, rootfs)
        status = await _run_container(client, options, environment, name, lower)
        if target.guest is not None:
            await client.destroy_sandbox()
        return status


async def _place(
    client: AgentClient,
    options: argparse.Namespace,
    target: Target,
    rootfs: Path | None,
) -> str:
    """Return the path that `rootfs` has in the guest, where it is copied if need be."""
    if rootfs is None:
        assert target.own_rootfs is not None
        return target.own_rootfs
    if target.scratch is not None:
        return str(rootfs)
    from kata_host.client.upload import SHARED, upload

    # The same for the same files: a guest that stays up must not fill up.
    origin = "" if options.rootfs is None else options.rootfs.absolute()
    path = f"{SHARED}/rootfs-{zlib.crc32(str(origin).encode()):08x}"
    await upload(client.agent, rootfs, path)
    return path


async def _run_container(
    client: AgentClient,
    options: argparse.Namespace,
    environment: dict[str, str],
    name: str,
    rootfs: str,
) -> int:
    from kata_host.client.spec import default_process, default_spec, writable_layer
    from kata_host.ctl import terminal
    from kata_host.ctl.attach import STDIN, attach

    process = default_process(
        options.command, env=environment, cwd=options.cwd, terminal=options.tty
    )
    if options.tty and os.isatty(STDIN):
        rows, columns = terminal.size(STDIN)
        process.ConsoleSize.Height, process.ConsoleSize.Width = rows, columns
    storage, root = writable_layer(name, rootfs)
    spec = default_spec(name, process, rootfs=root)
    async with client.started_container(
        name, spec, [storage], share_pids=options.pid == "sandbox"
    ) as container:
        return await attach(
            container.init, container.kill, stdin=options.interactive, tty=options.tty
        )
