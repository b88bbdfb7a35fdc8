# SPDX-License-Identifier: Apache-2.0
"""A QEMU whose machine has a SCSI controller and does not run, for its monitor."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
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
    with socket.socket(socket.AF_UNIX) as listener:
        # Made here, so that it takes connections before QEMU has started.
        listener.bind(str(monitor))
        listener.listen()
        fd = listener.fileno()
        command += ["-chardev", f"socket,id=monitor,fd={fd},server=on,wait=off"]
        command += ["-mon", "chardev=monitor,mode=control"]
        with subprocess.Popen(command, pass_fds=(fd,)) as qemu:
            try:
                yield monitor
            finally:
                qemu.kill()
