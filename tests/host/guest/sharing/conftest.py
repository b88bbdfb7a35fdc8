# SPDX-License-Identifier: Apache-2.0
"""A QEMU that takes volumes, whose guest takes no part, and a container's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.shared_volumes import qemu_for_volumes


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Path]:
    with qemu_for_volumes(tmp_path / "vm") as monitor:
        yield monitor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"
