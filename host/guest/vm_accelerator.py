# SPDX-License-Identifier: Apache-2.0
"""Whether KVM serves here: tried once, since a /dev/kvm that opens may not boot."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Final

from kata_host.guest.vm_command import QEMU, accelerator_arguments

DEVICE: Final = Path("/dev/kvm")
TRIAL_TIMEOUT: Final = 5.0
"""Seconds; a kernel under KVM says its last word after less than one."""
VARIABLE: Final = "KATA_GUEST_ACCELERATOR"
"""`kvm` or `tcg`, instead of a trial."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_PROOF: Final = b"Kernel panic"
"""Without a root disk, a kernel that has started all of itself ends like this."""


def choose(kernel: Path, cache: Path) -> str:
    """Return `kvm` or `tcg`; a trial's outcome is kept in `cache` until a reboot."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return "tcg"
    record = cache / "accelerator.json"
    boot_id = _BOOT_ID.read_text().strip()
    try:
        known = json.loads(record.read_text())
        if known["boot_id"] == boot_id:
            return str(known["accelerator"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # Not tried yet.
    accelerator = "kvm" if try_kvm(kernel) else "tcg"
    record.write_text(json.dumps({"boot_id": boot_id, "accelerator": accelerator}))
    return accelerator


def try_kvm(kernel: Path, timeout: float = TRIAL_TIMEOUT) -> bool:
    """Start the kernel under KVM with no disk; return whether it came to its end."""
    command = [QEMU, "-nodefaults", "-nic", "none", "-display", "none", "-no-reboot"]
    command += ["-machine", "q35", *accelerator_arguments("kvm"), "-m", "256M"]
    command += ["-kernel", str(kernel), "-serial", "stdio"]
    command += ["-append", "console=ttyS0 panic=-1"]
    deadline = time.monotonic() + timeout
    output = b""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
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
