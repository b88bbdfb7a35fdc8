# SPDX-License-Identifier: Apache-2.0
"""The server of volumes, when it, a virtiofsd or the guest does not do its part."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from kata_host.guest.qmp import Qmp
from kata_host.guest.sharing.share_request import SharedPath
from kata_host.guest.sharing.sharing import Sharing
from tests.helpers.shared_volumes import daemons_of, plugged_volumes, servers

pytestmark = pytest.mark.root

PATIENCE = 60.0


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
    deadline = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in daemons):
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
