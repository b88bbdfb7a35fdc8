# SPDX-License-Identifier: Apache-2.0
"""Swap space that the host gives to the guest: a plugged disk, or a file."""

from __future__ import annotations

from collections.abc import Sequence

from kata_agent.blocking import blocking
from kata_agent.device.hotplug import Hotplug
from kata_agent.errors import InvalidArgument
from kata_agent.linux.swap import swap_on


async def add_swap_disk(hotplug: Hotplug, slots: Sequence[int]) -> None:
    """Swap to the virtio disk at the PCI path of `slots`, once the disk has come.

    Raises `InvalidArgument`, `NotFound`, `Timeout` or, from swapon(2), `OSError`.
    """
    if not slots:
        raise InvalidArgument("swap: no PCI path")
    # Imported here, because few guests get a disk for swap.
    from kata_agent.device.block import wait_for_disk

    path = "/".join(f"{slot:02x}" for slot in slots)
    await blocking(swap_on, await wait_for_disk(hotplug, path))


async def add_swap_file(path: str) -> None:
    """Swap to the file or block device at `path`.

    Raises `InvalidArgument` or, from swapon(2), `OSError`.
    """
    if not path.startswith("/"):
        raise InvalidArgument(f"swap {path!r}: not an absolute path")
    await blocking(swap_on, path)
