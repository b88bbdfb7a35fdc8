# SPDX-License-Identifier: Apache-2.0
"""The image of VM guests, built when the first of them starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kata_host.guest.guest import GuestError
from kata_host.guest.vm_command import QEMU
from kata_host.needed_programs import missing

if TYPE_CHECKING:
    from kata_host.guest.image.store import Image

BUILDERS: Final = (
    *("apt-get", "dpkg-deb", "tar", "mkfs.erofs", "xz", "zstd"),
    *("patchelf", "modprobe", "depmod"),
)
"""Programs that build the image (`kata_host.guest.image`)."""


def ready_image() -> Image:
    """Return the image, built now if there is none, which takes minutes.

    Raises `GuestError` if a program is missing that a VM or the building needs, before
    anything is built, and what `kata_host.guest.image.build` does.
    """
    from kata_host.guest.image import store
    from kata_host.guest.image.build import ensure
    from kata_host.guest.image.progress import Progress

    needed = [QEMU] if store.find() else [QEMU, *BUILDERS]
    if fault := missing(*needed):
        raise GuestError(fault)
    return ensure(Progress())
