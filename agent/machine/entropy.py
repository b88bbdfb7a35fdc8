# SPDX-License-Identifier: Apache-2.0
"""Randomness from the host.

Two guests that are restored from one snapshot would otherwise produce the same random
numbers.
"""

from __future__ import annotations

from kata_agent.errors import InvalidArgument
from kata_agent.linux.random_device import add_entropy
from kata_agent.system_paths import SystemPaths


def reseed(paths: SystemPaths, data: bytes) -> None:
    """Mix `data` into the kernel's random number generator (man 4 random).

    Raises `InvalidArgument` for no data, `OSError` without CAP_SYS_ADMIN.
    """
    if not data:
        raise InvalidArgument("random device: no entropy given")
    add_entropy(paths.dev / "random", data)
