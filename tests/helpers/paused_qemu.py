# SPDX-License-Identifier: Apache-2.0
"""A QEMU whose machine has a SCSI controller and does not run, for its monitor."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.guest.vm_command import QEMU, Sockets


@contextlib.contextmanager
def paused_qemu(directory: Path) -> Iterator[Path]:
    """Provide the path of the monitor for the block; skip without QEMU."""
    if shutil.which(QEMU) is None:
        if os.environ.get("CI"):
            pytest.fail(f"needs {QEMU}")
        pytest.skip(f"needs {QEMU}")
    directory.mkdir()
    monitor = Sockets(directory).qmp
    command = [QEMU, "-nodefaults", "-machine", "q35", "-accel", "tcg", "-S"]
    command += ["-display", "none", "-device", "virtio-scsi-pci,id=scsi0"]
    command += ["-qmp", f"unix:{monitor},server=on,wait=off"]
    with subprocess.Popen(command) as qemu:
        try:
            while not monitor.exists():
                assert qemu.poll() is None, "qemu has ended"
                time.sleep(0.01)
            yield monitor
        finally:
            qemu.kill()
