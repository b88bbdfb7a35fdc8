# SPDX-License-Identifier: Apache-2.0
"""`scsi`: a disk on the virtio SCSI controller, named by its address, `ID:LUN`.

The controller does not announce new disks, so each SCSI host is told to scan that
address.
"""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Final

from kata_agent.device.device_match import DeviceMatch
from kata_agent.device.hotplug import Hotplug
from kata_agent.device.node import read_node
from kata_agent.device.uevent_matcher import UeventMatcher
from kata_agent.errors import InvalidArgument
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Device

ADDRESS: Final = re.compile(r"([0-9]{1,5}):([0-9]{1,5})")
CHANNEL: Final = 0
"""A virtio SCSI controller has only this one."""


async def find(hotplug: Hotplug, device: Device) -> DeviceMatch:
    """Find the disk at SCSI address `id`."""
    return DeviceMatch(read_node(await wait_for_disk(hotplug, device.id)))


async def wait_for_disk(hotplug: Hotplug, address: str) -> Path:
    """Return the node of the disk at `address`, `ID:LUN` in decimal.

    Raises `InvalidArgument`, `Timeout`, or `OSError` if there is no SCSI host.
    """
    parsed = ADDRESS.fullmatch(address)
    if parsed is None:
        raise InvalidArgument(f"SCSI address {address!r}: not of the form ID:LUN")
    target, lun = int(parsed[1]), int(parsed[2])
    # Any host number, because SATA controllers get the first ones.
    host = rf"host[0-9]+/target[0-9]+:{CHANNEL}:{target}"
    matcher = UeventMatcher(
        description=f"a block device at SCSI address {target}:{lun}",
        subsystem="block",
        devpath=re.compile(
            rf"/devices/.+/virtio[0-9]+/{host}/[0-9]+:{CHANNEL}:{target}:{lun}"
            r"/block/[^/]+"
        ),
    )
    prompt = partial(scan, hotplug.paths, target, lun)
    return await hotplug.wait_for_node(matcher, prompt=prompt)


def scan(paths: SystemPaths, target: int, lun: int) -> None:
    """Tell every SCSI host to look at one address. Blocks. Raises `OSError`.

    The file takes CHANNEL TARGET LUN (kernel, drivers/scsi/scsi_sysfs.c, store_scan).
    """
    hosts = paths.sys / "class/scsi_host"
    for host in sorted(os.listdir(hosts)):
        (hosts / host / "scan").write_text(f"{CHANNEL} {target} {lun}")
