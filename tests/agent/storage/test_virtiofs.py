# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno

import pytest

from kata_agent.errors import Timeout
from kata_agent.storage import virtiofs
from tests.helpers.shares import Shares
from tests.helpers.sysfs import Sysfs


@pytest.fixture
def shares(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> Shares:
    return Shares(sysfs, monkeypatch, missing=errno.EINVAL)


def mounted(sysfs: Sysfs, *mounts: str) -> None:
    """Pretend that these, as `FSTYPE SOURCE`, are mounted on the mount point."""
    point = sysfs.paths.sandbox / "a"
    lines = [f"36 25 0:31 / {point} rw - {mount} rw\n" for mount in mounts]
    (sysfs.paths.proc / "self/mountinfo").write_text("".join(lines))


async def test_a_share_is_mounted(shares: Shares) -> None:
    shares.tags.add("tag")
    await virtiofs.add(shares.storage("virtiofs"), shares.context())
    assert shares.attempts == 1


async def test_a_tag_that_is_missing_is_waited_for(shares: Shares) -> None:
    with pytest.raises(Timeout, match="a virtiofs device with the tag 'tag'"):
        await virtiofs.add(shares.storage("virtiofs"), shares.context(0.01))


async def test_a_share_that_is_mounted_already_is_left_alone(
    sysfs: Sysfs, shares: Shares
) -> None:
    mounted(sysfs, "tmpfs none", "virtiofs tag")
    await virtiofs.add(shares.storage("virtiofs"), shares.context())
    assert shares.attempts == 0


@pytest.mark.parametrize("over", ["virtiofs other", "tmpfs tag"])
async def test_a_share_below_another_mount_does_not_count(
    sysfs: Sysfs, shares: Shares, over: str
) -> None:
    mounted(sysfs, "virtiofs tag", over)
    shares.tags.add("tag")
    await virtiofs.add(shares.storage("virtiofs"), shares.context())
    assert shares.attempts == 1
