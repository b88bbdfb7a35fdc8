# SPDX-License-Identifier: Apache-2.0
"""The `process` of a spec, fitted to this kernel and to its container."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from kata_agent.oci.spec import Spec
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)

RLIMITS: Final = frozenset(
    f"RLIMIT_{name}"
    for name in (
        "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING "
        "MSGQUEUE NICE RTPRIO RTTIME"
    ).split()
)
"""man 2 getrlimit"""
APPARMOR: Final = "module/apparmor/parameters/enabled"


INHERITED: Final = (
    "cwd",
    "capabilities",
    "rlimits",
    "apparmorProfile",
    "selinuxLabel",
)
"""Fields that an exec takes from its container as they are, if it has none."""


@dataclass(frozen=True, slots=True)
class Requested:
    """The parts of an init's process that the guest adds to, as the host sent them."""

    env: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()

    @classmethod
    def from_process(cls, process: Spec) -> Requested:
        groups = process["user"].get("additionalGids", ())
        return cls(tuple(process["env"]), tuple(groups))


def inherit(
    process: Spec, init: Spec, requested: Requested, *, names_user: bool
) -> None:
    """Give an exec the fields that it leaves out from the init of its container.

    An exec whose user is named apart from `process` (`names_user`) has the groups that
    the host asked for, and not those that a name brought to the init.
    """
    for name in INHERITED:
        if name in init:
            process.setdefault(name, init[name])
    if "user" not in process:
        process["user"] = dict(init["user"])
        if names_user:
            process["user"]["additionalGids"] = list(requested.groups)
    # Not the environment of the init: its `HOME` may be that of another user.
    process.setdefault("env", list(requested.env))
    process["noNewPrivileges"] |= init["noNewPrivileges"]
    # Zero may mean that the field was not sent (`kata_agent.oci.presence`).
    process["oomScoreAdj"] = process["oomScoreAdj"] or init["oomScoreAdj"]


def fit_process(process: Spec, container_id: str, paths: SystemPaths) -> None:
    """Drop fields that this kernel does not support, because the runtime would fail."""
    limits = process.get("rlimits", [])
    unknown = [limit["type"] for limit in limits if limit["type"] not in RLIMITS]
    if unknown:
        log.warning(
            "unknown resource limits dropped",
            extra={"container_id": container_id, "limits": unknown},
        )
        process["rlimits"] = [limit for limit in limits if limit["type"] in RLIMITS]
    if "apparmorProfile" in process and not _has_apparmor(paths):
        del process["apparmorProfile"]
        log.info("no AppArmor, profile dropped", extra={"container_id": container_id})


def _has_apparmor(paths: SystemPaths) -> bool:
    file = paths.sys / APPARMOR
    return file.exists() and file.read_text().strip() == "Y"
