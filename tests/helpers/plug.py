# SPDX-License-Identifier: Apache-2.0
"""Plug things into a running virtual machine, and take them out again."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from kata_host.guest.qmp import Qmp
from kata_host.guest.vm_guest import VmGuest

MIB: Final = 1 << 20
UNPLUG_TIMEOUT: Final = 30.0
SCSI_BUS: Final = "scsi0.0"
"""The bus of the controller that every VM guest has (`vm_command.py`)."""
VIRTIOFSD: Final = "/usr/lib/qemu/virtiofsd"

_names = itertools.count()


def new_name(prefix: str) -> str:
    """Return a name that QEMU does not know yet."""
    return f"{prefix}{next(_names)}"


class Plug:
    """Adds devices to `guest` by QMP, and removes them at the end if QEMU can.

    Nothing is removed from a guest that has ended.
    """

    def __init__(self, guest: VmGuest, directory: Path) -> None:
        self.guest = guest
        self.directory = directory
        self._undo = ExitStack()
        self._daemons = ExitStack()
        self._qmp: Qmp | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def qmp(self) -> Qmp:
        """QEMU's monitor, connected to on first use."""
        if self._qmp is None:
            self._qmp = Qmp(self.guest.sockets.qmp)
        return self._qmp

    def close(self) -> None:
        """Remove every device now."""
        with self._daemons:
            if self.guest.ending() is None:
                self._undo.close()
            if self._qmp is not None:
                self._qmp.close()
                self._qmp = None

    def image(
        self, size: int = 16 * MIB, *, mkfs: tuple[str, ...] = (), content: bytes = b""
    ) -> Path:
        """Make a disk's file, with a file system or some bytes at its start."""
        path = self.directory / new_name("disk-")
        path.write_bytes(content)
        os.truncate(path, size)
        if mkfs:
            subprocess.run([*mkfs, path], check=True, stdout=subprocess.DEVNULL)
        return path

    def blocks(self, image: Path) -> str:
        """Make QEMU open a disk's file; return the name of the node."""
        node = new_name("node-")
        file = {"driver": "file", "filename": str(image)}
        self.qmp("blockdev-add", driver="raw", file=file, **{"node-name": node})
        self._undo.callback(self.qmp, "blockdev-del", **{"node-name": node})
        return node

    def device(self, driver: str, **properties: Any) -> str:
        """Add a device; return its id. Underscores are written as dashes."""
        name = new_name("device-")
        words = {key.replace("_", "-"): value for key, value in properties.items()}
        self.qmp("device_add", driver=driver, id=name, **words)
        self._undo.callback(self.unplug, name)
        return name

    def unplug(self, name: str) -> None:
        """Remove a device and wait until the guest has released it."""
        self.qmp("device_del", id=name)
        self.qmp.wait_for_event(
            "DEVICE_DELETED",
            UNPLUG_TIMEOUT,
            lambda event: event["data"].get("device") == name,
        )

    def disk(self, image: Path, bus: str, **properties: Any) -> str:
        """Add a virtio disk on a PCI bus; return its node's name."""
        node = self.blocks(image)
        self.device("virtio-blk-pci", drive=node, bus=bus, **properties)
        return node

    def nic(self, bus: str, **properties: Any) -> str:
        """Add a network interface that reaches QEMU's own network and no other.

        The network's gateway answers pings at 10.0.2.2 and fec0::2.
        """
        net = new_name("net-")
        self.qmp("netdev_add", type="user", id=net, restrict=True)
        self._undo.callback(self.qmp, "netdev_del", id=net)
        return self.device("virtio-net-pci", netdev=net, bus=bus, **properties)

    def scsi_disk(self, image: Path, target: int, lun: int = 0) -> None:
        """Add a disk to the SCSI controller."""
        node = self.blocks(image)
        self.device("scsi-hd", drive=node, bus=SCSI_BUS, scsi_id=target, lun=lun)

    def memory(self, size: int) -> None:
        """Add a memory module, which is never removed because a guest may keep it."""
        backend = new_name("memory-")
        kind = {"qom-type": "memory-backend-memfd", "share": True, "size": size}
        self.qmp("object-add", id=backend, **kind)
        self.qmp("device_add", driver="pc-dimm", id=f"d{backend}", memdev=backend)

    def growing_memory(self, limit: int, bus: str, **properties: Any) -> str:
        """Add a virtio-mem device without memory, for good; return its id."""
        backend = new_name("memory-")
        kind = {"qom-type": "memory-backend-memfd", "share": True, "size": limit}
        self.qmp("object-add", id=backend, **kind)
        name = new_name("growing-")
        self.qmp(
            "device_add",
            driver="virtio-mem-pci",
            id=name,
            memdev=backend,
            bus=bus,
            **properties,
        )
        return name

    def grow(self, name: str, size: int) -> None:
        """Ask the guest to take `size` bytes of memory from a virtio-mem device."""
        path = f"/machine/peripheral/{name}"
        self.qmp("qom-set", path=path, property="requested-size", value=size)

    def nvdimm(self, image: Path) -> None:
        """Add persistent memory, which is never removed."""
        backend = new_name("nvdimm-")
        kind = {"qom-type": "memory-backend-file", "share": True}
        size = image.stat().st_size
        path = {"mem-path": str(image)}
        self.qmp("object-add", id=backend, size=size, **kind, **path)
        self.qmp("device_add", driver="nvdimm", id=f"d{backend}", memdev=backend)

    def cpu(self) -> None:
        """Add a CPU, which is never removed because QEMU cannot under emulation."""
        free = [
            slot
            for slot in self.qmp("query-hotpluggable-cpus")
            if "qom-path" not in slot
        ]
        # QEMU lists the last slot first.
        slot = free[-1]
        name = new_name("cpu-")
        self.qmp("device_add", driver=slot["type"], id=name, **slot["props"])

    def share(self, directory: Path, tag: str, bus: str) -> subprocess.Popen[bytes]:
        """Share a directory by virtio-fs; return the virtiofsd that serves it."""
        socket = self.directory / new_name("virtiofsd-")
        command = [VIRTIOFSD, f"--socket-path={socket}", "-f"]
        command += ["-o", f"source={directory}", "-o", "sandbox=chroot"]
        # No cache, so that the guest sees changes of the host at once.
        command += ["-o", "cache=none"]
        with open(self.directory / "virtiofsd.log", "ab") as log:
            daemon = subprocess.Popen(command, stdout=log, stderr=log)
        self._daemons.callback(daemon.wait)
        self._daemons.callback(daemon.kill)
        while not socket.exists():
            assert daemon.poll() is None, "virtiofsd has ended"
            time.sleep(0.01)
        chardev = new_name("chardev-")
        address = {"type": "unix", "data": {"path": str(socket)}}
        backend = {"type": "socket", "data": {"addr": address, "server": False}}
        self.qmp("chardev-add", id=chardev, backend=backend)
        self._undo.callback(self.qmp, "chardev-remove", id=chardev)
        self.device("vhost-user-fs-pci", chardev=chardev, tag=tag, bus=bus)
        return daemon
