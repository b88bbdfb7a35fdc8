# SPDX-License-Identifier: Apache-2.0
"""Mount one version of cgroups on /sys/fs/cgroup (man 7 cgroups).

v2 is one tree with every controller enabled in it. v1 is a tmpfs with one tree for
each controller that the kernel has.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from kata_agent.linux.mount import (
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_RELATIME,
    MS_REMOUNT,
    mount,
)
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)

CLOSED = MS_NOSUID | MS_NODEV | MS_NOEXEC


def mount_cgroups(paths: SystemPaths, *, unified: bool) -> None:
    """Mount cgroup v2 if `unified`, otherwise v1 if the kernel has it.

    A mount that is there stays. Raises `OSError` when nothing could be mounted.
    """
    controllers = [] if unified else v1_controllers(paths.proc / "cgroups")
    if not unified and not controllers:
        log.warning("no cgroup v1 controller in the kernel, v2 is mounted")
    if not os.path.ismount(paths.cgroup):
        if controllers:
            mount_v1(paths.cgroup, controllers)
        else:
            mount(
                "cgroup2", paths.cgroup, "cgroup2", CLOSED | MS_RELATIME, "nsdelegate"
            )
    if (paths.cgroup / "cgroup.controllers").exists():
        enable_controllers(paths.cgroup)


def v1_controllers(file: Path) -> list[str]:
    """Return the enabled controllers of `/proc/cgroups`; none if there is no file.

    The four fields of a line are name, hierarchy, number of cgroups, and 1 if enabled.
    """
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return []
    rows = (line.split() for line in lines if not line.startswith("#"))
    return [row[0] for row in rows if len(row) == 4 and row[3] != "0"]


def mount_v1(root: Path, controllers: list[str]) -> None:
    """Mount each controller on a directory of its own below `root`."""
    mount("tmpfs", root, "tmpfs", CLOSED, "mode=755")
    mounted = [name for name in controllers if _mount_controller(root, name)]
    if not mounted:
        raise OSError(f"{root}: no cgroup v1 controller could be mounted")
    mount("tmpfs", root, "tmpfs", CLOSED | MS_REMOUNT | MS_RDONLY, "mode=755")
    # Needed before Linux 5.11; later kernels are always hierarchical, and the newest
    # have no such file.
    use_hierarchy = root / "memory" / "memory.use_hierarchy"
    if use_hierarchy.exists() and use_hierarchy.read_text().strip() != "1":
        use_hierarchy.write_text("1")


def _mount_controller(root: Path, name: str) -> bool:
    """Mount one controller and return whether that was possible.

    A kernel may list a controller that only cgroup v2 can have.
    """
    directory = root / name
    directory.mkdir(mode=0o755)
    try:
        mount("cgroup", directory, "cgroup", CLOSED | MS_RELATIME, name)
    except OSError as error:
        directory.rmdir()
        log.warning(
            "cgroup controller left out",
            extra={"controller": name, "error": error.strerror},
        )
        return False
    return True


def enable_controllers(root: Path) -> None:
    """Let the children of the v2 tree at `root` use every controller of the tree."""
    control = root / "cgroup.subtree_control"
    for name in (root / "cgroup.controllers").read_text().split():
        try:
            # One at a time, because one that is refused makes the whole write fail.
            control.write_text(f"+{name}")
        except OSError as error:
            log.warning(
                "cgroup controller not enabled",
                extra={"controller": name, "error": error.strerror},
            )
