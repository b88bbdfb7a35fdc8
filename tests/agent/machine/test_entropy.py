# SPDX-License-Identifier: Apache-2.0
"""Entropy from the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.machine.entropy import reseed
from kata_agent.system_paths import SystemPaths
from tests.helpers.namespace import require_root


def test_entropy_is_needed() -> None:
    with pytest.raises(InvalidArgument, match="no entropy given"):
        reseed(SystemPaths(), b"")


@pytest.mark.root
@pytest.mark.parametrize("size", [1, 512])
def test_the_kernel_takes_the_entropy(size: int) -> None:
    require_root()
    # Real randomness, because the kernel counts it as entropy.
    reseed(SystemPaths(), os.urandom(size))


def test_another_file_than_the_random_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "random").touch()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        reseed(SystemPaths(dev=tmp_path), b"x")
