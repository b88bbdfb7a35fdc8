# SPDX-License-Identifier: Apache-2.0
"""The whole table, and the situations that a complete one has."""

from __future__ import annotations

from typing import Any, Final

# Each of these modules fills the table when it is imported.
import tests.helpers.conformance.containers
import tests.helpers.conformance.guest
import tests.helpers.conformance.health
import tests.helpers.conformance.networking
import tests.helpers.conformance.processes
import tests.helpers.conformance.resources
import tests.helpers.conformance.sandbox
import tests.helpers.conformance.streams
import tests.helpers.conformance.tracing  # noqa: F401
from tests.helpers.conformance.case import CASES as _CASES
from ttrpc.service import Method

# Cases that create the sandbox again come late, those that end the agent last.
CASES: Final = sorted(
    _CASES, key=lambda case: (case.own_guest, case.rpc == "DestroySandbox")
)

HAS_STATES: Final = {"CreateSandbox", "DestroySandbox", "StartTracing", "StopTracing"}
"""Calls without a container that have a wrong time to be made."""
NOT_APPLICABLE: Final = {
    ("CreateContainer", "unknown id"): "it makes the id known",
    ("CreateContainer", "wrong state"): "that is to be there: repeated",
    ("AddSwap", "happy"): "needs a disk to spare",
    ("AddSwapPath", "happy"): "needs a file on a disk to spare",
    ("ResizeVolume", "happy"): "needs a disk that has grown",
}
"""Situations that no case is about, with the reason."""


def situations(method: Method[Any, Any]) -> set[str]:
    """Return the situations that a call can be in."""
    wanted = {"happy", "repeated", "concurrent", "cancelled"}
    has_container = "container_id" in method.request_type.DESCRIPTOR.fields_by_name
    if has_container:
        wanted |= {"unknown id", "wrong state"}
    if method.name in HAS_STATES:
        wanted.add("wrong state")
    return wanted


def missing(method: Method[Any, Any]) -> set[str]:
    """Return the situations of a call that no case is about."""
    there = {case.situation for case in CASES if case.rpc == method.name}
    excused = {situation for name, situation in NOT_APPLICABLE if name == method.name}
    return situations(method) - there - excused
