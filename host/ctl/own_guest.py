# SPDX-License-Identifier: Apache-2.0
"""A guest of the command's own, which ends with the command."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kata_host.ctl.errors import guest_errors_as_command_errors
from kata_host.ctl.patience import note, saying
from kata_host.ctl.remark import remark
from kata_host.ctl.target import START_TIMEOUT, Target
from kata_host.guest.guest import FORWARD_OPTION

if TYPE_CHECKING:
    from kata_host.guest.guest import OwnGuest
    from kata_host.guest.image.store import Image


@contextlib.contextmanager
def local_guest(options: argparse.Namespace) -> Iterator[Target]:
    """Hold a local guest for the block. Raises `CommandError`."""
    from kata_host.guest.local_guest import LocalGuest

    environment = {"KATA_AGENT_LOG_LEVEL": "debug"} if options.debug else {}
    if options.trace:
        environment["KATA_AGENT_TRACING"] = "collated"
    # An archive is unpacked here, and a directory is used where it is.
    is_directory = options.rootfs is not None and options.rootfs.is_dir()
    with guest_errors_as_command_errors():
        guest = LocalGuest(
            environment=environment,
            cgroup=options.cgroup,
            shared=[
                *([options.rootfs] if is_directory else []),
                *options.shared,
                *_shared(options),
            ],
            network=options.network,
            echo=options.debug,
            parameters=[FORWARD_OPTION] if options.publish else [],
        )
    with _held(guest):
        yield Target(
            guest.address,
            guest,
            scratch=guest.directory / "rootfs",
            timeout=START_TIMEOUT,
        )


@contextlib.contextmanager
def vm_guest(options: argparse.Namespace) -> Iterator[Target]:
    """Hold a VM for the block, and build its image first if there is none.

    Raises `CommandError`.
    """
    from kata_host.guest.vm_command import Machine
    from kata_host.guest.vm_guest import VmGuest
    from kata_host.guest.warm_vm_guest import WarmVmGuest

    parameters = ["agent.log=debug"] if options.debug else []
    if options.trace:
        parameters.append("agent.trace=collated")
    if options.publish:
        parameters.append(FORWARD_OPTION)
    machine = Machine(
        kernel_parameters=parameters, network=options.network, devices=options.devices
    )
    with guest_errors_as_command_errors():
        image = ready_image()
    guest: OwnGuest
    if options.warm:
        guest = WarmVmGuest(image, machine=machine, warn=remark)
    else:
        guest = VmGuest(image, machine=machine)
    with _held(guest):
        # The image is read-only, and has busybox's commands and Python.
        yield Target(guest.address, guest, own_rootfs="/", timeout=START_TIMEOUT)


def _shared(options: argparse.Namespace) -> list[Path]:
    """Return the directories that the volumes are in."""
    from kata_host.ctl.container_options import volumes_of

    sources = [Path(volume.source) for volume in volumes_of(options)]
    return [path if path.is_dir() else path.parent for path in sources if path.exists()]


def ready_image() -> Image:
    """Return the image of VM guests, built now if need be. Raises `GuestError`.

    Says that a VM will be slow where there is no KVM.
    """
    from kata_host.guest import vm_image
    from kata_host.guest.image.store import cache
    from kata_host.guest.vm_accelerator import choose_accelerator

    image = vm_image.ready_image()
    if choose_accelerator(image.kernel, cache()) != "kvm":
        note("no KVM on this host: the VM is emulated, and slow")
    return image


@contextlib.contextmanager
def _held(guest: OwnGuest) -> Iterator[None]:
    from kata_host.guest.guest import GuestError
    from kata_host.keeper.leftovers import remove_leftovers

    with contextlib.ExitStack() as stack:
        # Before the start, which an interrupt may end half-way.
        stack.callback(guest.stop)
        # A registry that cannot be used is no matter of this guest, which is not in it.
        with contextlib.suppress(GuestError):
            remove_leftovers()
        with guest_errors_as_command_errors(), saying("the guest is starting"):
            guest.start()
        yield
