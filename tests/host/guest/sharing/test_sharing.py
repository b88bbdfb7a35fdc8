# SPDX-License-Identifier: Apache-2.0
"""Volumes of a container come into a VM, and end with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.guest.guest import GuestError
from kata_host.guest.qmp import Qmp
from kata_host.guest.sharing.share_request import SharedPath
from kata_host.guest.sharing.sharing import Sharing
from tests.helpers.shared_volumes import (
    daemons_of,
    plugged_volumes,
    servers,
)

pytestmark = pytest.mark.root


def test_volumes_end_with_qemu(monitor: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    sharing = Sharing(monitor, folder)
    paths = [SharedPath(str(tmp_path), True), SharedPath(str(tmp_path / "file"))]
    one, two = sharing.start(paths)
    assert (one.file, two.file) == ("", "file")
    assert sorted(plugged_volumes(monitor)) == sorted([one.tag, two.tag] * 2)
    (server,) = servers(str(monitor))
    daemons = daemons_of(server)
    assert len(daemons) == 4
    with Qmp(monitor) as qmp:
        qmp("quit")
    sharing.wait()
    assert not [pid for pid in (server, *daemons) if Path(f"/proc/{pid}").exists()]
    # In order, so nobody has ended QEMU.
    assert not (monitor.parent / "reason").exists()


def test_a_volume_that_cannot_be_is_an_error_that_leaves_nothing(
    monitor: Path, folder: Path, tmp_path: Path
) -> None:
    paths = [SharedPath(str(tmp_path)), SharedPath("/dev/null")]
    for place, fault in (
        (monitor, "volume '/dev/null': neither a file nor a directory"),
        (tmp_path / "none", "No such file or directory"),
    ):
        with pytest.raises(GuestError, match=fault):
            Sharing(place, folder).start(paths)
    assert plugged_volumes(monitor) == []
    assert servers(str(tmp_path)) == []
