# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl run`: a command in a container of its own, like `docker run`."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import (
    GUEST_HELP,
    add_command_argument,
    add_connect_timeout,
    add_guest_option,
    add_process_arguments,
    check_process,
)
from kata_host.ctl.command_parser import path
from kata_host.ctl.container_options import add_container_options, limits_of, volumes_of
from kata_host.ctl.errors import (
    NOT_FOUND,
    ProgramError,
    UsageError,
    guest_errors_as_command_errors,
)
from kata_host.ctl.guest_network import add_network_option
from kata_host.ctl.run_image import RunImage, add_image_options, used_image
from kata_host.ctl.signals import run as run_loop
from kata_host.ctl.warm_option import add_warm_option, check_warm

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers
    from kata_host.ctl.target import Target


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "run",
        help="run a command in a container of its own",
        usage="%(prog)s [options] -- COMMAND [ARG...]",
        description="Run a command in a new container, in a guest of its own by "
        "default, and remove both afterwards. Standard input and output, signals and "
        "the exit status are those of the command: 128+n when signal n ended it, 127 "
        "when it was not found, 126 when it cannot be executed, 125 when the guest or "
        "the agent failed.\n\n"
        "With --detach the container stays, until `rm` removes it, and the command "
        "prints its name. Without --guest it has a guest of its own then, which ends "
        "when the container is removed. The last 8 MiB of its output are kept for "
        "`logs`. In a guest of `guest list`, Ctrl-P Ctrl-Q leaves a container with -it "
        "running.",
        epilog="Examples:\n\n"
        "  echo hi | kata-agent-ctl run -i --local -- cat\n"
        "  kata-agent-ctl run -it --guest one --memory 64m -e A=b -- sh\n"
        "  kata-agent-ctl run -d --name web -v ./site:/site:ro -- httpd -f -h /site",
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
        "-d",
        "--detach",
        action="store_true",
        help="print the container's name, and leave it running",
    )
    parser.add_argument(
        "--rm",
        action="store_true",
        help="with --detach: remove the container when its command has ended",
    )
    parser.add_argument(
        "--rootfs",
        type=path,
        metavar="DIR|TAR",
        help="root file system of the container, a directory or an archive of this "
        "host (default: busybox; in a VM, the guest's own)",
    )
    add_image_options(parser)
    add_process_arguments(parser, defaults="the image's, or / and root")
    add_container_options(parser)
    add_network_option(parser, "network of a guest of its own")
    add_warm_option(parser, "; not with --trace or --debug")
    parser.add_argument(
        "--pid",
        choices=("sandbox", "container"),
        help="pid namespace of the command: the sandbox's, or one of the container, in "
        "which the command is PID 1 and signals that it does not handle have no effect "
        "(default: sandbox; with --init, container; in a guest that stays always "
        "sandbox)",
    )
    parser.add_argument(
        "--trace",
        action="store_true",
        help="at the end, print a tree of the agent's work with durations on standard "
        "error; not with --guest or --detach",
    )
    parser.add_argument(
        "--html",
        type=path,
        metavar="FILE",
        help="with --trace: also write the trace into a web page",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help="show the agent's log on standard error; not with --guest or --detach",
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
    _check(options)
    with _image_suspected(options), used_image(options) as image:
        check_process(options)
        return _main(options, image, started)


@contextlib.contextmanager
def _image_suspected(options: argparse.Namespace) -> Iterator[None]:
    """Where no program has the first word, say how an image is named.

    docker's users name it there.
    """
    words = list(options.command)
    has_image = options.image is not None or options.entrypoint is not None
    try:
        yield
    except ProgramError as error:
        if error.run_status == NOT_FOUND and words[:1] != ["--"] and not has_image:
            hint = f"if '{words[0]}' is an image: --image {words[0]}"
            raise ProgramError(f"{error} ({hint})") from error
        raise


def _main(options: argparse.Namespace, image: RunImage | None, started: int) -> int:
    from kata_host.client.identifier import new_id
    from kata_host.ctl.container_run import ContainerRun
    from kata_host.ctl.image import image_errors_as_command_errors
    from kata_host.ctl.rootfs import prepared
    from kata_host.keeper.leftovers import remove_leftovers

    name = options.name or new_id()
    with _target(options, name) as target, contextlib.ExitStack() as stack:
        if target.entry is not None:
            # Which may have the name.
            with guest_errors_as_command_errors():
                remove_leftovers()
        new = ContainerRun(options, target, name, image)
        with guest_errors_as_command_errors(), image_errors_as_command_errors():
            stack.enter_context(new)
        rootfs = None
        if image is None and (options.rootfs is not None or target.own_rootfs is None):
            rootfs = stack.enter_context(prepared(options.rootfs, new.scratch))
        return run_loop(new.run(rootfs, started))


def _check(options: argparse.Namespace) -> None:
    """Raise `UsageError` for options that do not go together."""
    if options.trace and options.guest is not None:
        raise UsageError("--trace: needs a guest of its own")
    if options.html is not None and not options.trace:
        raise UsageError("--html: needs --trace")
    if options.hostname and options.guest is not None:
        raise UsageError("--hostname: the containers of a guest have its host name")
    if options.network != "none" and options.guest is not None:
        raise UsageError(
            "--network: the network is the guest's; `guest start` has this option too"
        )
    check_warm(options)
    if options.warm and (options.trace or options.debug):
        raise UsageError("--warm: not with --trace or --debug")
    if options.detach and (options.trace or options.debug):
        raise UsageError("--detach: not with --trace or --debug")
    if options.detach and options.cgroup != "auto":
        raise UsageError("--detach: not with --cgroup")
    if options.rm and not options.detach:
        # As ever, without a word: docker's users write it by habit.
        options.rm = False
    if options.init:
        from kata_host.ctl.init_program import find_init

        find_init()
    limits_of(options)
    if volumes_of(options) and options.vm:
        from kata_host.guest.sharing.virtiofsd import find_virtiofsd

        # Before a VM is started for it.
        with guest_errors_as_command_errors():
            find_virtiofsd()
    if options.html is not None:
        from kata_host.ctl.trace_page import check_page

        check_page(options.html)


@contextlib.contextmanager
def _target(options: argparse.Namespace, name: str) -> Iterator[Target]:
    from kata_host.ctl.own_guest import local_guest, vm_guest
    from kata_host.ctl.target import Target

    if options.guest is not None:
        yield Target.of(options)
    elif options.detach:
        with _staying_guest(options, name) as target:
            yield target
    else:
        with vm_guest(options) if options.vm else local_guest(options) as target:
            yield target


@contextlib.contextmanager
def _staying_guest(options: argparse.Namespace, name: str) -> Iterator[Target]:
    """Start a guest for a detached container; end it if the block fails."""
    import os

    from kata_host.ctl.guest_address import running_entry
    from kata_host.ctl.named_guest import OPTIONS, named_guest
    from kata_host.ctl.target import Target
    from kata_host.guest.registry import NAME
    from kata_host.guest.start_request import StartRequest

    guest = name if NAME.fullmatch(name) else f"guest-{os.urandom(3).hex()}"
    kind = "vm" if options.vm else "local"
    request = StartRequest(
        name=guest,
        kind=kind,
        parameters=list(OPTIONS),
        network=options.network,
        devices=options.devices,
        is_warm=options.warm,
    )
    with named_guest(request, options.hostname or "", name) as (address, let_go):
        yield Target(
            address,
            own_rootfs="/" if options.vm else None,
            entry=running_entry(guest),
            timeout=options.connect_timeout,
        )
        let_go()
