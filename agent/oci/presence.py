# SPDX-License-Identifier: Apache-2.0
"""Presence: which fields of a message make a field of the JSON.

proto3 scalars have no presence, so that a field that was never set reads as zero.
Where the OCI specification says *optional*, zero therefore means absent.
"""

from __future__ import annotations

from typing import Any

from kata_agent.oci.spec import Spec


def without_none(part: Spec) -> Spec:
    """Return `part` without the fields that are None."""
    return {name: value for name, value in part.items() if value is not None}


def only_set(**fields: Any) -> Spec:
    """Return the fields that are neither zero nor empty."""
    return {name: value for name, value in fields.items() if value}


def only_set_or_none(**fields: Any) -> Spec | None:
    """Return the fields that are neither zero nor empty, or None if there are none."""
    return only_set(**fields) or None
