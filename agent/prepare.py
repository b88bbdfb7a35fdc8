# SPDX-License-Identifier: Apache-2.0
"""What a spec from the host must become to run in this guest.

Each step edits the spec in place and has a module or a function of its own; the
order matters only where a comment says so.
"""

from __future__ import annotations

import logging
from pathlib import PurePosixPath
from typing import Final

from agent.spec import Spec

log = logging.getLogger(__name__)

RLIMITS: Final = frozenset(
    f"RLIMIT_{name}"
    for name in (
        "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING "
        "MSGQUEUE NICE RTPRIO RTTIME"
    ).split()
)
"""man 2 getrlimit"""

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


def drop_unknown_rlimits(process: Spec, container_id: str) -> None:
    """Drop limits that this kernel does not have; the runtime would refuse them."""
    limits = process.get("rlimits", [])
    for limit in limits:
        if limit["type"] not in RLIMITS:
            log.warning(
                "unknown resource limit dropped",
                extra={"container_id": container_id, "limit": limit["type"]},
            )
    process["rlimits"] = [limit for limit in limits if limit["type"] in RLIMITS]
