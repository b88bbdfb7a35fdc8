# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno

import pytest

from kata_agent.errors import Timeout
from kata_agent.storage import ninep
from tests.helpers.shares import Shares
from tests.helpers.sysfs import Sysfs


@pytest.fixture
def shares(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> Shares:
    return Shares(sysfs, monkeypatch, missing=errno.ENOENT)


async def test_a_share_is_mounted(shares: Shares) -> None:
    shares.tags.add("tag")
    await ninep.add(shares.storage("9p"), shares.context())
    assert shares.attempts == 1


async def test_the_error_of_9p_for_a_missing_tag_is_known(shares: Shares) -> None:
    with pytest.raises(Timeout, match="a 9p device with the tag 'tag'"):
        await ninep.add(shares.storage("9p"), shares.context(0.01))
    assert shares.attempts == 2
