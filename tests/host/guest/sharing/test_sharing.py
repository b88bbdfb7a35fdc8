# SPDX-License-Identifier: Apache-2.0
"""Servers of volumes, and a QEMU whose guest takes no part."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kata_host.guest.guest import GuestError
from kata_host.guest.qmp import Qmp
from kata_host.guest.sharing.share_request import SharedPath
from kata_host.guest.sharing.sharing import Sharing
from tests.helpers.shared_volumes import (
    daemons_of,
    plugged_volumes,
    qemu_for_volumes,
    servers,
)

pytestmark = pytest.mark.root

PATIENCE = 60.0


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Path]:
    with qemu_for_volumes(tmp_path / "vm") as monitor:
        yield monitor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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


def test_volumes_stay_if_their_server_is_killed(
    monitor: Path, folder: Path, tmp_path: Path
) -> None:
    sharing = Sharing(monitor, folder)
    sharing.start([SharedPath(str(tmp_path))])
    (server,) = servers(str(monitor))
    daemons = daemons_of(server)
    os.kill(server, signal.SIGKILL)
    sharing.wait()
    assert all(Path(f"/proc/{pid}").exists() for pid in daemons)
    with Qmp(monitor) as qmp:
        qmp("quit")
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in daemons))


def test_a_volume_that_ends_takes_the_vm_with_it(
    monitor: Path, folder: Path, tmp_path: Path
) -> None:
    sharing = Sharing(monitor, folder)
    sharing.start([SharedPath(str(tmp_path))])
    (server,) = servers(str(monitor))
    os.kill(daemons_of(server)[0], signal.SIGKILL)
    sharing.wait()
    reason = (monitor.parent / "reason").read_text()
    assert reason == f"virtiofsd of {str(tmp_path)!r} was killed by signal 9"


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


def test_a_guest_that_keeps_a_device_has_nothing_of_the_host_any_more(
    monitor: Path, folder: Path, tmp_path: Path
) -> None:
    sharing = Sharing(monitor, folder, unplug_timeout=0.2)
    sharing.start([SharedPath(str(tmp_path))])
    (server,) = servers(str(monitor))
    daemons = daemons_of(server)
    shutil.rmtree(folder)
    sharing.wait()
    assert not [pid for pid in (server, *daemons) if Path(f"/proc/{pid}").exists()]
    assert plugged_volumes(monitor) != []
