# SPDX-License-Identifier: Apache-2.0
"""Swap that the host gives the guest: a disk that it has plugged in, or a file."""

from __future__ import annotations

from collections.abc import Sequence

from kata_agent.blocking import blocking
from kata_agent.device.block import wait_for_disk
from kata_agent.device.hotplug import Hotplug
from kata_agent.errors import InvalidArgument
from kata_agent.linux.swap import swap_on


async def add_swap_disk(hotplug: Hotplug, slots: Sequence[int]) -> None:
    """Swap on the virtio disk at the PCI path of `slots`, once it has appeared."""
    if not slots:
        raise InvalidArgument("swap: no PCI path")
    path = "/".join(f"{slot:02x}" for slot in slots)
    await blocking(swap_on, await wait_for_disk(hotplug, path))


async def add_swap_file(path: str) -> None:
    """Swap on the file or block device at `path`."""
    if not path.startswith("/"):
        raise InvalidArgument(f"swap {path!r}: not an absolute path")
    await blocking(swap_on, path)
