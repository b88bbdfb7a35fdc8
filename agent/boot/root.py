# SPDX-License-Identifier: Apache-2.0
"""What the guest's own root is, which decides how containers get theirs."""

from __future__ import annotations

from agent.linux.mount import read_mounts
from agent.paths import SystemPaths


def can_pivot_root(paths: SystemPaths) -> bool:
    """Tell whether containers may pivot away from the guest's root.

    Not from an initramfs: its root cannot be moved (man 2 pivot_root, EINVAL).
    """
    mounts = read_mounts(paths.proc / "self" / "mountinfo")
    roots = [mount for mount in mounts if mount.point == "/"]
    return not roots or roots[-1].fstype != "rootfs"
