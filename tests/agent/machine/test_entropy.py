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


def test_none_is_given() -> None:
    with pytest.raises(InvalidArgument, match="no entropy given"):
        reseed(SystemPaths(), b"")


@pytest.mark.root
@pytest.mark.parametrize("size", [1, 512])
def test_the_kernel_takes_it(size: int) -> None:
    require_root()
    # Real randomness, so that what we claim to the kernel is true.
    reseed(SystemPaths(), os.urandom(size))


def test_a_device_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "random").touch()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        reseed(SystemPaths(dev=tmp_path), b"x")
