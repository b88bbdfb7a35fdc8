# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.sysfs import Sysfs


@pytest.fixture
async def sysfs(tmp_path: Path) -> AsyncIterator[Sysfs]:
    """A tree of devices, and no mounts."""
    sysfs = Sysfs(tmp_path)
    (sysfs.paths.proc / "self").mkdir()
    (sysfs.paths.proc / "self/mountinfo").write_text("")
    yield sysfs
    sysfs.uevents.close()
    sysfs.monitor.close()
