# SPDX-License-Identifier: Apache-2.0
"""The mounts of a container: those that every container needs, and their flags."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import Final

from kata_agent.oci.spec import Spec

_DEV: Final = {
    "destination": "/dev",
    "type": "tmpfs",
    "source": "tmpfs",
    "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
}
_PTS: Final = {
    "destination": "/dev/pts",
    "type": "devpts",
    "source": "devpts",
    "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
}
_PROC: Final = {
    "destination": "/proc",
    "type": "proc",
    "source": "proc",
    "options": ["nosuid", "noexec", "nodev"],
}


def add_essential_mounts(spec: Spec) -> None:
    """Add mounts for /proc and /dev if the spec has none.

    The runtime makes device nodes below /dev and opens files below /proc. On the
    container's root file system it would follow links that are part of the image.
    """
    mounts = spec["mounts"]
    destinations = {_normal(mount["destination"]) for mount in mounts}
    if "/dev" not in destinations:
        # First, because other mounts may be below it.
        added = [_DEV] if "/dev/pts" in destinations else [_DEV, _PTS]
        mounts[:0] = [dict(mount) for mount in added]
    if "/proc" not in destinations:
        mounts.insert(0, dict(_PROC))


def _normal(path: str) -> str:
    return str(PurePosixPath(path))


_KEPT: Final = {
    os.ST_RDONLY: "ro",
    os.ST_NOSUID: "nosuid",
    os.ST_NODEV: "nodev",
    os.ST_NOEXEC: "noexec",
}


def keep_mount_flags(spec: Spec) -> None:
    """Give each bind mount the restrictions (`_KEPT`) of its source.

    The kernel keeps these flags in a bind mount, but the runtime sets all flags anew: a
    volume that the host mounted `nosuid` would lose that flag. May block.
    """
    for mount in spec["mounts"]:
        options = mount.get("options", [])
        if mount.get("type") != "bind" and not {"bind", "rbind"} & set(options):
            continue
        try:
            present = os.statvfs(mount["source"]).f_flag
        except OSError:
            # The runtime reports the error.
            continue
        kept = [option for flag, option in _KEPT.items() if present & flag]
        # At the end, because the last option wins.
        mount["options"] = [*options, *kept]
