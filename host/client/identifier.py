# SPDX-License-Identifier: Apache-2.0
"""Ids for containers and execs that need no particular name."""

from __future__ import annotations

import os


def new_id(prefix: str = "run") -> str:
    """Return `prefix` and 12 random hexadecimal digits: an id not in use."""
    return f"{prefix}-{os.urandom(6).hex()}"
