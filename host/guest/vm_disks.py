# SPDX-License-Identifier: Apache-2.0
"""Read-only disks that are plugged into a VM while it runs.

    FOLDER/disk -> /.../disks/HEX.erofs     made first
    QEMU: a disk whose file is FOLDER/disk

QEMU tells the path that it was given, so a disk belongs to a folder of the host: that
of a container, or of a program. A disk without its folder is used by nobody any more,
and goes with the next one that is plugged or removed, whoever was killed before. The
disks are on the SCSI controller, because there the guest need not agree to a removal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from kata_host.guest.qmp import Event, Qmp, QmpError
from kata_host.guest.vm_command import Sockets
from ttrpc.address import HybridVsockAddress, parse_address

LINK: Final = "disk"
_BUS: Final = "scsi0.0"
_PREFIX: Final = "disk-"
_ATTEMPTS: Final = 16
_PATIENCE: Final = 5.0
_INTERVAL: Final = 0.01
"""Seconds."""
_TARGETS: Final = 255
"""Targets of a virtio SCSI controller, each for more units than a byte counts."""


def monitor_at(address: str) -> Path | None:
    """Return the monitor of the VM whose agent has `address`, if it is one of ours.

    Raises `ValueError` if the address is not one.
    """
    parsed = parse_address(address)
    if not isinstance(parsed, HybridVsockAddress):
        return None
    sockets = Sockets(Path(parsed.path).parent)
    is_ours = Path(parsed.path) == sockets.hybrid and sockets.qmp.is_socket()
    return sockets.qmp if is_ours else None


def plug_disk(monitor: Path, folder: Path, disk: Path) -> str:
    """Plug the file `disk` into a VM for as long as `folder` exists; one in a folder.

    Returns the SCSI address, `ID:LUN`. Blocks. Raises `QmpError` and `OSError`.
    """
    link = folder.absolute() / LINK
    link.symlink_to(disk)
    with Qmp(monitor) as qmp:
        _remove_unused(qmp)
        name = f"{_PREFIX}{os.urandom(4).hex()}"
        file = {"driver": "file", "filename": str(link), "read-only": True}
        node = {"driver": "raw", "node-name": name, "read-only": True, "file": file}
        qmp("blockdev-add", **node)
        try:
            return _attach(qmp, name)
        except BaseException:
            _delete(qmp, name)
            raise


def remove_unused_disks(monitor: Path) -> None:
    """Take the disks out of a VM that no folder stands for any more.

    Blocks. Raises `QmpError`.
    """
    with Qmp(monitor) as qmp:
        _remove_unused(qmp)


def _attach(qmp: Qmp, name: str) -> str:
    """Attach a disk at a free address.

    Not at the lowest one: the guest may not know yet that another disk has left it.
    """
    attempts = _ATTEMPTS
    while True:
        first, lun = os.urandom(2)
        place = {"scsi-id": first % _TARGETS, "lun": lun}
        try:
            qmp("device_add", driver="scsi-hd", id=name, drive=name, bus=_BUS, **place)
            return f"{place['scsi-id']}:{lun}"
        except QmpError:
            attempts -= 1
            if not attempts:
                raise


def _remove_unused(qmp: Qmp) -> None:
    for name in list(_unused(qmp)):
        # Whoever plugged it may have been killed before it was attached.
        if name in _attached(qmp):
            qmp("device_del", id=name)
            qmp.wait_for_event("DEVICE_DELETED", _PATIENCE, partial(_is_of, name))
        _delete(qmp, name)


def _delete(qmp: Qmp, name: str) -> None:
    """Have QEMU close a disk, which it lets go of soon after the device is gone."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            qmp("blockdev-del", **{"node-name": name})
            return
        except QmpError:
            # No event tells when.
            if time.monotonic() >= deadline:
                raise
            time.sleep(_INTERVAL)


def _unused(qmp: Qmp) -> Iterator[str]:
    for node in qmp("query-named-block-nodes", flat=True):
        name = node.get("node-name", "")
        if name.startswith(_PREFIX) and not os.path.lexists(node["file"]):
            yield name


def _is_of(name: str, event: Event) -> bool:
    return bool(event["data"].get("device") == name)


def _attached(qmp: Qmp) -> set[str]:
    return {each["name"] for each in qmp("qom-list", path="/machine/peripheral")}
