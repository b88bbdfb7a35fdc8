# SPDX-License-Identifier: Apache-2.0
"""The image of VM guests, built when the first of them starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kata_host.guest.guest import GuestError
from kata_host.guest.vm_command import QEMU
from kata_host.needed_programs import missing

if TYPE_CHECKING:
    from kata_host.guest.image.store import Image


def ready_image() -> Image:
    """Return the image, built now if there is none, which takes minutes.

    Raises `GuestError`, before anything is built if a program is missing that a VM or
    the building needs.
    """
    from kata_host.guest.image.build import ensure, missing_tools
    from kata_host.guest.image.progress import Progress

    if missing(QEMU):
        # A host without QEMU has no image either.
        raise GuestError(missing_tools(QEMU))
    return ensure(Progress())
