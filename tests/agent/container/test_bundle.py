# SPDX-License-Identifier: Apache-2.0
"""Bundles on the disk."""

from __future__ import annotations

import json
from pathlib import Path

from kata_agent.container.bundle import Bundle


def test_only_root_reads_the_environment(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path, "c1")
    bundle.write({"process": {"env": ["SECRET=1"] * 100}})
    bundle.write({"short": True})
    config = tmp_path / "c1" / "config.json"
    assert json.loads(config.read_text()) == {"short": True}
    assert config.stat().st_mode & 0o777 == 0o600


def test_removal_leaves_the_mount_points_of_storages(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path, "c1")
    bundle.remove()
    bundle.write({"hooks": {"poststop": [{"path": "/h"}]}})
    assert bundle.hook_output.path.is_fifo()
    bundle.remove()
    assert not bundle.path.exists()
    bundle.write({})
    (bundle.path / "rootfs").mkdir()
    bundle.remove()
    assert [path.name for path in bundle.path.iterdir()] == ["rootfs"]
