# SPDX-License-Identifier: Apache-2.0
"""A guest without a PCI bus: QEMU's `microvm`, whose devices are on virtio-mmio.

Firecracker's guests look like this; QEMU, docs/system/i386/microvm.rst.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from kata_host.guest.image.cpio import CpioArchive
from kata_host.guest.image.store import Image
from kata_host.guest.vm_command import Machine
from kata_host.guest.vm_guest import VmGuest

MACHINE: Final = "microvm,acpi=on,pit=on,pic=on,rtc=on,memory-backend=memory"
CLOCK: Final = ("tsc_early_khz=2400000", "tsc=reliable", "no_timer_check")
"""There is nothing to calibrate it against under emulation."""
DEVICES: Final = {
    "virtio-blk-pci,drive=root": "virtio-blk-device,drive=root",
    "vhost-user-vsock-pci,id=vsock,chardev=vsock,bus=vsock-port": (
        "vhost-user-vsock-device,chardev=vsock"
    ),
    "virtio-rng-pci": "virtio-rng-device",
}
"""The devices of every guest of ours, each with its form on virtio-mmio."""
VALUES: Final = {"-machine": MACHINE, "-smp": "1", "-m": "512M"}


class MicroVm(VmGuest):
    """A guest with `disk` as `/dev/vdb` beside its root."""

    def __init__(
        self, image: Image, directory: Path, disk: Path, *parameters: str
    ) -> None:
        machine = Machine(kernel_parameters=[*CLOCK, *parameters])
        initrd = directory / "initrd"
        initrd.write_bytes(_initrd(image))
        super().__init__(image, directory / "vm", machine=machine, initrd=initrd)
        self._disk = disk

    def _command(self) -> list[str]:
        command: list[str] = []
        for word in super()._command():
            option = command[-1] if command else ""
            if option == "-device" and word not in DEVICES:
                command.pop()
            else:
                command.append(VALUES.get(option) or DEVICES.get(word, word))
        command += ["-drive", f"file={self._disk},if=none,id=disk,format=raw"]
        # After the root disk, because the kernel finds disks in this order.
        return [*command, "-device", "virtio-blk-device,drive=disk"]


def _initrd(image: Image) -> bytes:
    """Return the initrd with the driver of virtio-mmio, which no other guest needs."""
    original = image.boot_archive().read_bytes()
    order = subprocess.run(
        ["cpio", "--extract", "--quiet", "--to-stdout", "modules/order"],
        input=original,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    (module,) = image.tree.glob(
        "usr/lib/modules/*/kernel/drivers/virtio/virtio_mmio.ko"
    )
    added = CpioArchive()
    added.add_file("modules/virtio_mmio.ko", module.read_bytes())
    # The file of a later archive replaces that of an earlier one.
    added.add_file("modules/order", order + b"virtio_mmio.ko\n")
    return original + added.finish()
