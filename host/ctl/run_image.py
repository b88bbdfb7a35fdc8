# SPDX-License-Identifier: Apache-2.0
"""The image that `run` starts a container from: found, and put into the guest."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kata_host.ctl.command_parser import text
from kata_host.ctl.errors import CommandError, UsageError
from kata_host.ctl.image import image_errors_as_command_errors
from kata_host.ctl.patience import saying

if TYPE_CHECKING:
    from kata_host.image.config import ImageConfig
    from kata_protos import agent_pb2

DISK_SLOT: Final = 0x11
"""The slot of the root bus that a VM has its image in: its PCI path is `11`."""


@dataclass(frozen=True, slots=True)
class RunImage:
    """An image that is kept from removal while a container runs."""

    keep: Callable[[Path], None]
    """Keeps it as long as a folder exists, that of a container which may stay."""
    layers: Sequence[str] = ()
    """The directories that a local guest sees, the highest layer first."""
    disk: Path | None = None
    """The disk that a VM has instead."""

    def storages(
        self, name: str, address: str | None = None
    ) -> tuple[Sequence[agent_pb2.Storage], str]:
        """Return the storages of a container, and the path of its root.

        `address` is the SCSI address of a disk that was plugged in.
        """
        from kata_host.client.layered_root import disk_storage, layered_root

        if self.disk is None:
            return layered_root(name, self.layers)
        if address is None:
            disk = disk_storage(name, "blk", f"{DISK_SLOT:02x}")
        else:
            disk = disk_storage(name, "scsi", address)
        storages, root = layered_root(name, [disk.mount_point])
        return [disk, *storages], root


def add_image_options(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--image",
        type=text,
        metavar="NAME|TAR|DIR",
        help="the image of the container, by a name of `image ls` or of a registry, or "
        "as it was saved; its environment, user, directory and command hold where no "
        "option or word says otherwise; not with --rootfs",
    )
    parser.add_argument(
        "--entrypoint",
        type=text,
        metavar="PROGRAM",
        help="the program in place of the image's, before COMMAND",
    )


@contextlib.contextmanager
def used_image(options: argparse.Namespace) -> Iterator[RunImage | None]:
    """Provide the image of `--image` for the block, and None without.

    Fills in what the image says of the process. Raises `CommandError`.
    """
    # What a guest of the command's own needs.
    options.shared, options.devices = [], []
    if options.image is None:
        if options.entrypoint is not None:
            options.command = [options.entrypoint, *_words(options)]
        yield None
        return
    if options.rootfs is not None:
        raise UsageError("--image: not with --rootfs")
    from kata_host.image.image_store import ImageStore

    is_vm = _is_vm(options)
    with image_errors_as_command_errors(), contextlib.ExitStack() as stack:
        store = ImageStore.open()
        with saying(f"fetching the image '{options.image}'"):
            image = store.obtain(options.image)
        _apply(image.config, options, image.name)
        keep = partial(store.keep, image)
        if not is_vm:
            layers = stack.enter_context(store.used(image))
            options.shared = [store.path]
            if not layers:
                raise CommandError(f"image '{image.name}': no layers")
            yield RunImage(keep, layers=[str(layer) for layer in layers])
            return
        with saying(f"making a disk of the image '{image.name}'"):
            disk = stack.enter_context(store.used_as_disk(image))
        if options.guest is None and not options.warm:
            # A VM that is restored has it plugged in afterwards.
            options.devices = _devices(disk)
        yield RunImage(keep, disk=disk)


def _is_vm(options: argparse.Namespace) -> bool:
    if options.guest is None:
        return bool(options.vm)
    from kata_host.guest.guest import GuestError
    from kata_host.guest.registry import find

    try:
        entry, _ = find(options.guest)
    except GuestError:
        entry = None
    if entry is None or entry.kind not in ("local", "vm"):
        raise UsageError("--image: needs a guest of `guest list`, or one of its own")
    return entry.kind == "vm"


def _apply(config: ImageConfig, options: argparse.Namespace, name: str) -> None:
    """Fill in what no option says."""
    entrypoint = None if options.entrypoint is None else (options.entrypoint,)
    options.command = list(config.command(tuple(_words(options)), entrypoint))
    if not options.command:
        raise UsageError(f"image '{name}': names no command, so give one")
    # The later of two counts.
    env = [f"{name}={value}" for name, value in config.env.items()]
    options.env = [*env, *options.env]
    options.cwd = options.cwd or config.working_dir
    options.user = options.user or config.user.removesuffix(":")


def _words(options: argparse.Namespace) -> list[str]:
    words: list[str] = options.command
    return words[1:] if words[:1] == ["--"] else words


def _devices(disk: Path) -> list[str]:
    """Return QEMU's arguments for a disk that is there at boot."""
    # QEMU's word for a comma.
    file = str(disk).replace(",", ",,")
    drive = f"file={file},if=none,id=image,format=raw,readonly=on"
    device = f"virtio-blk-pci,drive=image,bus=pcie.0,addr={DISK_SLOT:#x}"
    return ["-drive", drive, "-device", device]
