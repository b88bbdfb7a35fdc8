# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl run`: a command in a container of its own, like `docker run --rm`."""

from __future__ import annotations

import argparse
import contextlib
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import (
    GUEST_HELP,
    add_command_argument,
    add_connect_timeout,
    add_guest_option,
    add_process_arguments,
    check_process,
    requested_process,
)
from kata_host.ctl.command_parser import path
from kata_host.ctl.errors import UsageError
from kata_host.ctl.run_image import RunImage, add_image_options, used_image
from kata_host.ctl.signals import run as run_loop

if TYPE_CHECKING:
    from kata_host.client import AgentClient
    from kata_host.ctl.program import Subparsers
    from kata_host.ctl.target import Target
    from kata_protos import agent_pb2


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run a command in a container of its own",
        usage="%(prog)s [options] -- COMMAND [ARG...]",
        description="Run a command in a new container, in a guest of its own by "
        "default, and remove both afterwards. Standard input and output, signals and "
        "the exit status are those of the command: 128+n when signal n ended it, 127 "
        "when it was not found, 126 when it cannot be executed, 125 when the guest or "
        "the agent failed.",
        epilog="Example:\n\n  echo hi | kata-agent-ctl run -i --local -- cat",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--local",
        action="store_true",
        help="start a local guest for it: namespaces of this host, no VM (the default)",
    )
    where.add_argument("--vm", action="store_true", help="start a VM for it, with QEMU")
    add_guest_option(
        where, required=False, help=f"use a guest that runs already: {GUEST_HELP}"
    )
    add_connect_timeout(parser)
    parser.add_argument(
        "--rootfs",
        type=path,
        metavar="DIR|TAR",
        help="root file system of the container, a directory or an archive of this "
        "host (default: busybox; with --vm, the guest's own)",
    )
    add_image_options(parser)
    add_process_arguments(parser)
    parser.add_argument(
        "--pid",
        choices=("sandbox", "container"),
        default="sandbox",
        help="pid namespace of the command: the sandbox's, or one of the container, in "
        "which the command is PID 1 and signals that it does not handle have no effect "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--trace",
        action="store_true",
        help="at the end, print a tree of the agent's work with durations on standard "
        "error; not with --guest",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help="show the agent's log on standard error; not with --guest",
    )
    parser.add_argument(
        "--cgroup",
        choices=("auto", "v1", "v2"),
        default="auto",
        help="cgroup version of a local guest (default: auto, that of the host)",
    )
    add_command_argument(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    from kata_host.ctl.rootfs import check_source

    started = time.time_ns()
    check_source(options.rootfs)
    with used_image(options) as image:
        check_process(options)
        return _main(options, image, started)


def _main(options: argparse.Namespace, image: RunImage | None, started: int) -> int:
    from kata_host.ctl.rootfs import prepared

    if options.trace and options.guest is not None:
        raise UsageError("--trace: needs a guest of its own")
    with _target(options) as target, contextlib.ExitStack() as stack:
        rootfs = None
        if image is None and (options.rootfs is not None or target.own_rootfs is None):
            rootfs = stack.enter_context(prepared(options.rootfs, target.scratch))
        return run_loop(_run(options, target, rootfs, image, started))


@contextlib.contextmanager
def _target(options: argparse.Namespace) -> Iterator[Target]:
    from kata_host.ctl.own_guest import local_guest, vm_guest
    from kata_host.ctl.target import Target

    if options.guest is not None:
        yield Target.of(options)
        return
    with vm_guest(options) if options.vm else local_guest(options) as target:
        yield target


async def _run(
    options: argparse.Namespace,
    target: Target,
    rootfs: Path | None,
    image: RunImage | None,
    started: int,
) -> int:
    from kata_host.client.identifier import new_id

    name = new_id()
    async with contextlib.AsyncExitStack() as stack:
        interceptors = []
        if options.trace:
            from kata_host.ctl.run_trace import RunTrace

            assert target.guest is not None
            run_trace = RunTrace(target.guest, "kata-agent-ctl run", started)
            await stack.enter_async_context(run_trace)
            interceptors.append(run_trace.interceptor)
        client = await stack.enter_async_context(target.client(interceptors))
        if target.guest is not None:
            share_pids = options.pid == "sandbox"
            await client.create_sandbox(name, share_pids=share_pids)
        if image is not None:
            storages, root = image.storages(name)
        else:
            lower = await _rootfs_in_guest(client, options, target, rootfs)
            storages, root = _storages(name, lower)
        status = await _run_container(client, options, name, storages, root)
        if target.guest is not None:
            await client.destroy_sandbox()
        return status


async def _rootfs_in_guest(
    client: AgentClient,
    options: argparse.Namespace,
    target: Target,
    rootfs: Path | None,
) -> str:
    """Return the path of `rootfs` in the guest, after copying it there if need be."""
    if rootfs is None:
        assert target.own_rootfs is not None
        return target.own_rootfs
    if target.scratch is not None:
        return str(rootfs)
    from kata_host.client.upload import SHARED, upload

    # One path for each source, so that repeated runs do not fill the guest.
    origin = "" if options.rootfs is None else options.rootfs.absolute()
    path = f"{SHARED}/rootfs-{zlib.crc32(str(origin).encode()):08x}"
    await upload(client.agent, rootfs, path)
    return path


def _storages(name: str, lower: str) -> tuple[Sequence[agent_pb2.Storage], str]:
    from kata_host.client.spec import writable_layer

    storage, root = writable_layer(name, lower)
    return [storage], root


async def _run_container(
    client: AgentClient,
    options: argparse.Namespace,
    name: str,
    storages: Sequence[agent_pb2.Storage],
    root: str,
) -> int:
    from kata_host.client.spec import default_spec
    from kata_host.ctl.attach import attach

    spec = default_spec(name, requested_process(options), rootfs=root)
    async with client.started_container(
        name,
        spec,
        storages,
        user=options.user,
        share_pids=options.pid == "sandbox",
    ) as container:
        return await attach(
            container.init, container.kill, stdin=options.interactive, tty=options.tty
        )
