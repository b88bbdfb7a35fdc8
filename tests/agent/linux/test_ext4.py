# SPDX-License-Identifier: Apache-2.0
"""Only ext4 is grown; a real one is grown in a VM (tests/vm/test_volume.py)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.linux import ext4
from kata_agent.linux.beneath import opened
from kata_agent.linux.mount import mount
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v2")
async def test_another_file_system_is_refused(world: World, tmp_path: Path) -> None:
    mount("tmpfs", tmp_path, "tmpfs")
    with opened(os.open(tmp_path, os.O_RDONLY)) as root:
        with pytest.raises(OSError, match="Inappropriate ioctl"):
            ext4.resize(root, 100)
