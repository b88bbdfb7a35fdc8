# SPDX-License-Identifier: Apache-2.0
"""What the guest's root directory is."""

from __future__ import annotations

from kata_agent.linux.mount import read_mounts
from kata_agent.system_paths import SystemPaths


def can_pivot_root(paths: SystemPaths) -> bool:
    """Tell whether containers may leave `/` by pivot_root.

    The root of an initramfs cannot be moved away (man 2 pivot_root, NOTES), so an
    OCI runtime must be told to do without.
    """
    roots = [
        mount.fstype
        for mount in read_mounts(paths.proc / "self/mountinfo")
        if mount.point == "/"
    ]
    # A mount over another hides it: the last one counts.
    return roots[-1:] != ["rootfs"]
