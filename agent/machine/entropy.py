# SPDX-License-Identifier: Apache-2.0
"""Randomness from the host: two guests of one snapshot would else draw the same."""

from __future__ import annotations

from kata_agent.errors import InvalidArgument
from kata_agent.linux.random_device import add_entropy
from kata_agent.system_paths import SystemPaths


def reseed(paths: SystemPaths, data: bytes) -> None:
    """Mix `data` into the kernel's generator. Raises `OSError` without privilege."""
    if not data:
        raise InvalidArgument("random device: no entropy given")
    add_entropy(paths.dev / "random", data)
