# SPDX-License-Identifier: Apache-2.0
"""Entropy goes to the kernel's generator, or the error names the device."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.linux.random_device import add_entropy
from tests.helpers.namespace import require_root


def test_entropy_is_added_and_the_generator_works_on() -> None:
    require_root()
    add_entropy("/dev/urandom", b"0123456789abcdef")
    with open("/dev/urandom", "rb") as device:
        assert len(device.read(16)) == 16


def test_a_file_is_no_generator(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        add_entropy(tmp_path / "file", b"x")
