# SPDX-License-Identifier: Apache-2.0
"""Whether a container can leave the guest's root by pivot_root."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.boot.root import can_pivot_root
from kata_agent.system_paths import SystemPaths

INITRAMFS = "1 1 0:2 / / rw - rootfs rootfs rw"
DISK = "26 1 254:0 / / ro,relatime - ext4 /dev/root ro"
OTHER = "27 26 0:5 / /dev rw - devtmpfs dev rw"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [([INITRAMFS, OTHER], False), ([DISK, OTHER], True), ([INITRAMFS, DISK], True)],
)
def test_pivot_root(tmp_path: Path, lines: list[str], expected: bool) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text("\n".join(lines))
    assert can_pivot_root(SystemPaths(proc=tmp_path)) is expected
