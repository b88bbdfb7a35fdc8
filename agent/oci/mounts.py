# SPDX-License-Identifier: Apache-2.0
"""The mounts that a container gets besides, or stricter than, those of its spec."""

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
    """Guarantee /proc and a /dev that is not the image's.

    The runtime makes device nodes below /dev and opens files below /proc. On the
    container's own file system it would follow what the image put there.
    """
    mounts = spec["mounts"]
    destinations = {_normal(mount["destination"]) for mount in mounts}
    if "/dev" not in destinations:
        # Before whatever is mounted below it.
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
    """Forbid in each bind mount what is forbidden where it comes from.

    The kernel keeps these flags in a bind mount, but the runtime sets all of them
    anew: a volume that the host mounted `nosuid` would lose that. May block.
    """
    for mount in spec["mounts"]:
        options = mount.get("options", [])
        if mount.get("type") != "bind" and not {"bind", "rbind"} & set(options):
            continue
        try:
            present = os.statvfs(mount["source"]).f_flag
        except OSError:
            # The runtime says what is wrong with it.
            continue
        kept = [option for flag, option in _KEPT.items() if present & flag]
        # The last one wins.
        mount["options"] = [*options, *kept]
