# SPDX-License-Identifier: Apache-2.0
"""NUL characters, which end a string of the kernel and of the runtime."""

from __future__ import annotations

from typing import Any

from kata_agent.errors import InvalidArgument


def refuse_nul(value: Any, path: str) -> None:
    """Raise `InvalidArgument` if a string in `value`, a part of a spec, has one.

    `path` is the name of that part. The runtime would cut the string there, and run
    another program, say, than the one that the host asked for.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidArgument(f"{path}: a NUL character in {value!r}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            refuse_nul(key, path)
            refuse_nul(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            refuse_nul(inner, path)
