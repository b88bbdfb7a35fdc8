# SPDX-License-Identifier: Apache-2.0
"""The `process` of an exec, completed from that of its container's init."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kata_agent.oci.spec import Spec

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
