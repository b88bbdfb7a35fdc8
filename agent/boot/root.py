# SPDX-License-Identifier: Apache-2.0
"""The kind of the guest's root directory."""

from __future__ import annotations

from kata_agent.linux.mountinfo import read_mounts
from kata_agent.system_paths import SystemPaths


def can_pivot_root(paths: SystemPaths) -> bool:
    """Return whether containers can leave `/` by pivot_root.

    The root of an initramfs cannot be moved away (man 2 pivot_root, NOTES), and an OCI
    runtime has an option for that case.
    """
    roots = [
        mount.fstype
        for mount in read_mounts(paths.proc / "self/mountinfo")
        if mount.point == "/"
    ]
    # The last mount counts, because it hides those below it.
    return roots[-1:] != ["rootfs"]
