# SPDX-License-Identifier: Apache-2.0
"""What serves volumes to VMs, on this machine and in QEMU."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.guest.guest import GuestError
from kata_host.guest.qmp import Qmp, QmpError
from kata_host.guest.sharing.virtiofsd import find_virtiofsd
from kata_host.guest.vm_command import BRIDGE, QEMU, Sockets

MEMORY = ("-m", "64M", "-object", "memory-backend-memfd,id=memory,size=64M,share=on")


def require_virtiofsd() -> None:
    """Skip without virtiofsd; fail in CI."""
    try:
        find_virtiofsd()
    except GuestError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@contextlib.contextmanager
def qemu_for_volumes(directory: Path) -> Iterator[Path]:
    """Provide the monitor of a QEMU that takes volumes, and has no guest to use them.

    So nobody agrees that one is taken out.
    """
    require_virtiofsd()
    if shutil.which(QEMU) is None:
        pytest.skip(f"needs {QEMU}")
    directory.mkdir()
    monitor = Sockets(directory).qmp
    command = [QEMU, "-nodefaults", "-accel", "tcg", "-S", "-display", "none", *MEMORY]
    command += ["-machine", "q35,memory-backend=memory"]
    command += ["-device", f"pci-bridge,id={BRIDGE},chassis_nr=1,shpc=off"]
    command += ["-qmp", f"unix:{monitor},server=on,wait=off"]
    with subprocess.Popen(command) as qemu:
        try:
            while not _listens(monitor):
                assert qemu.poll() is None
                time.sleep(0.01)
            yield monitor
        finally:
            qemu.kill()


def _listens(monitor: Path) -> bool:
    with contextlib.suppress(QmpError), Qmp(monitor):
        return True
    return False


def plugged_volumes(monitor: Path) -> list[str]:
    """Return the names of the devices and connections that QEMU has for volumes."""
    with Qmp(monitor) as qmp:
        devices = qmp("qom-list", path="/machine/peripheral")
        found = [each["name"] for each in devices]
        found += [each["label"] for each in qmp("query-chardev")]
    return [name for name in found if name.startswith("volume-")]


def servers(*words: str) -> list[int]:
    """Return the servers whose requests have all words."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_text(errors="replace")
            if "\0kata_host.guest.sharing\0" in command:
                if all(word in command for word in words):
                    found.append(int(process.name))
    return found


def daemons_of(server: int) -> list[int]:
    """Return the virtiofsds of a server, each with its child in the namespaces."""
    found = []
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    for child in map(int, children):
        found += [child, *daemons_of(child)]
    return found
