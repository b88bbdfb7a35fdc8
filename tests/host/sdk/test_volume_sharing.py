# SPDX-License-Identifier: Apache-2.0
"""Volumes of guests that need no server; `tests/vm/test_shared_volumes.py` has VMs."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.sdk.volume_sharing import VolumeSharing


async def test_a_local_guest_has_them_where_they_are(tmp_path: Path) -> None:
    local = VolumeSharing(sees_host=True, monitor=None)
    async with local.shared({"/a": f"{tmp_path}:ro"}) as (mounts, storages):
        (mount,) = mounts
        assert (mount.source, mount.options[-1]) == (str(tmp_path), "ro")
        assert storages == []


async def test_a_guest_elsewhere_has_none(tmp_path: Path) -> None:
    other = VolumeSharing(sees_host=False, monitor=None)
    async with other.shared({}) as shared:
        assert shared == ([], [])
    with pytest.raises(ValueError, match="volume '/a': only a local guest and a VM"):
        async with other.shared({"/a": tmp_path}):
            pass
