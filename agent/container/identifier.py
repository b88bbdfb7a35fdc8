# SPDX-License-Identifier: Apache-2.0
"""The ids that clients give to containers and processes.

A container's id becomes a file name and a cgroup name, so it may not hold a separator
or begin with a dot.
"""

from __future__ import annotations

import re
from typing import Final

from kata_agent.errors import InvalidArgument

NAME_LIMIT: Final = 255
"""Characters; NAME_MAX of linux/limits.h."""
_CONTAINER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+", re.ASCII)
_DISPLAY_LIMIT: Final = 64
"""Characters of an invalid id that an error quotes."""


def check_container_id(container_id: str) -> None:
    """Raise `InvalidArgument` unless the id can name a container."""
    if len(container_id) > NAME_LIMIT:
        raise InvalidArgument(
            f"container {container_id[:_DISPLAY_LIMIT]!r}...: "
            f"invalid id, {len(container_id)} characters are over {NAME_LIMIT}"
        )
    if not _CONTAINER_ID.fullmatch(container_id):
        raise InvalidArgument(
            f"container {container_id!r}: invalid id, it must be at least two of "
            "letters, digits, '_', '.', '-' and begin with a letter or digit"
        )


def check_exec_id(container_id: str, exec_id: str) -> None:
    """Raise `InvalidArgument` unless the id can name an exec process."""
    if not exec_id or len(exec_id) > NAME_LIMIT or "\0" in exec_id:
        raise InvalidArgument(
            f"container {container_id!r}: invalid exec id {exec_id[:_DISPLAY_LIMIT]!r}"
        )
