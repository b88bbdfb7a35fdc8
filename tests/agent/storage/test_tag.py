# SPDX-License-Identifier: Apache-2.0
"""Shares with a tag that come late, or never; tests/vm has a real kernel's."""

from __future__ import annotations

import asyncio
import errno

import pytest

from kata_agent.errors import Timeout
from kata_agent.storage.tag import mount_tag
from tests.helpers.shares import Shares
from tests.helpers.sysfs import Sysfs, added

VIRTIO = "/devices/pci0000:00/0000:00:02.0/virtio5"


@pytest.fixture
def shares(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> Shares:
    return Shares(sysfs, monkeypatch, missing=errno.EINVAL)


async def mount(shares: Shares, timeout: float = 30.0) -> None:
    storage = shares.storage("virtiofs")
    await mount_tag(storage, shares.context(timeout), missing=errno.EINVAL)


async def test_a_tag_that_is_there_needs_no_events(
    sysfs: Sysfs, shares: Shares
) -> None:
    shares.tags.add("tag")
    await mount(shares)
    assert shares.attempts == 1
    assert not sysfs.is_monitored


async def test_a_tag_is_tried_again_when_a_driver_has_taken_its_device(
    sysfs: Sysfs, shares: Shares
) -> None:
    mounting = asyncio.create_task(mount(shares))
    while shares.attempts < 2:
        await asyncio.sleep(0)
    shares.tags.add("tag")
    # A device that was only added has no driver yet.
    sysfs.monitor.send(added("virtio", VIRTIO))
    await sysfs.until_received()
    assert shares.attempts == 2
    sysfs.monitor.send(added("virtio", VIRTIO, "bind"))
    await mounting
    assert shares.attempts == 3


async def test_a_tag_that_does_not_come_is_named(shares: Shares) -> None:
    with pytest.raises(
        Timeout,
        match="timeout after 0.01s waiting for a virtiofs device with the tag 'tag'",
    ):
        await mount(shares, timeout=0.01)


async def test_another_error_is_final(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = Shares(sysfs, monkeypatch, missing=errno.EPERM)
    with pytest.raises(PermissionError):
        await mount(shares)
    assert shares.attempts == 1
