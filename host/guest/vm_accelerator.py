# SPDX-License-Identifier: Apache-2.0
"""The choice of KVM or software emulation.

KVM is tried once, because a /dev/kvm that can be opened may still not boot a guest.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Final

from kata_host.guest.bound_child import spawn_bound
from kata_host.guest.vm_command import QEMU, accelerator_arguments

DEVICE: Final = Path("/dev/kvm")
TRIAL_TIMEOUT: Final = 5.0
"""Seconds; under KVM, a kernel reaches its panic in less than one."""
VARIABLE: Final = "KATA_GUEST_ACCELERATOR"
"""The environment variable with `kvm` or `tcg`, for no trial."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_PROOF: Final = b"Kernel panic"
"""The end of a kernel that has started and found no root disk."""


def choose_accelerator(kernel: Path, cache: Path) -> str:
    """Return `kvm` or `tcg`; `cache` keeps the result of a trial until a reboot."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return "tcg"
    file = cache / "accelerator.json"
    boot_id = _BOOT_ID.read_text().strip()
    try:
        known = json.loads(file.read_text())
        if known["boot_id"] == boot_id:
            return str(known["accelerator"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # There was no trial yet.
    accelerator = "kvm" if try_kvm(kernel) else "tcg"
    file.write_text(json.dumps({"boot_id": boot_id, "accelerator": accelerator}))
    return accelerator


def try_kvm(kernel: Path, timeout: float = TRIAL_TIMEOUT) -> bool:
    """Start the kernel under KVM without a disk; return whether it started completely.

    Raises `OSError` if QEMU cannot be started.
    """
    command = [QEMU, "-nodefaults", "-nic", "none", "-display", "none", "-no-reboot"]
    command += ["-machine", "q35", *accelerator_arguments("kvm"), "-m", "256M"]
    command += ["-kernel", str(kernel), "-serial", "stdio"]
    command += ["-append", "console=ttyS0 panic=-1"]
    deadline = time.monotonic() + timeout
    output = b""
    with spawn_bound(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            while _PROOF not in output:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                    return False
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    return False
                output += data
            return True
        finally:
            process.kill()
