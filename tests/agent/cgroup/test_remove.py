# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kata_agent.cgroup.remove import remove_all


async def test_a_cgroup_that_is_made_meanwhile_is_removed_too(tmp_path: Path) -> None:
    top = tmp_path / "c1"
    (top / "a").mkdir(parents=True)
    found = 0

    def find() -> list[Path]:
        nonlocal found
        found += 1
        # The kernel refuses the first attempt: a process has not left yet.
        (top / "file").touch() if found == 1 else (top / "file").unlink(missing_ok=True)
        (top / f"new{found}").mkdir(exist_ok=True)
        return [top, tmp_path / "none"]

    await remove_all(find)
    assert found == 2
    assert not top.exists()


async def test_a_cgroup_that_stays_in_use_is_an_error_that_names_it(
    tmp_path: Path,
) -> None:
    top, other = tmp_path / "c1", tmp_path / "c2"
    for directory in (top, other):
        directory.mkdir()
    (top / "file").touch()
    with pytest.raises(OSError, match=str(top)) as raised:
        await remove_all(lambda: [top, other])
    assert raised.value.errno == errno.EBUSY
    assert not other.exists()
