# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.guest.guest import GuestError
from kata_host.guest.qmp import Qmp
from kata_host.guest.sharing.served_volume import ServedVolume
from kata_host.guest.sharing.share_request import SharedPath
from kata_host.guest.sharing.virtiofsd import find_virtiofsd
from tests.helpers.shared_volumes import plugged_volumes, qemu_for_volumes

pytestmark = pytest.mark.root

PATIENCE = 60.0


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Path]:
    with qemu_for_volumes(tmp_path / "vm") as monitor:
        yield monitor


def has_ended(volume: ServedVolume) -> bool:
    return bool(select.select([volume.pidfd], [], [], PATIENCE)[0])


def test_qemu_has_the_connection_and_virtiofsd_ends_with_it(
    monitor: Path, tmp_path: Path
) -> None:
    volume = ServedVolume(SharedPath(str(tmp_path)), find_virtiofsd(), tmp_path)
    assert os.listdir(tmp_path) == ["vm"]
    with Qmp(monitor) as qmp:
        volume.plug(qmp)
    assert plugged_volumes(monitor) == [volume.shared.tag] * 2
    with Qmp(monitor) as qmp:
        qmp("quit")
    assert has_ended(volume)
    assert volume.ending() == (
        f"virtiofsd of {str(tmp_path)!r} has ended: {volume.said}"
        if volume.said
        else f"virtiofsd of {str(tmp_path)!r} has ended"
    )
    volume.close()


def test_a_connection_that_qemu_does_not_get_ends_virtiofsd(
    monitor: Path, tmp_path: Path
) -> None:
    volume = ServedVolume(SharedPath(str(tmp_path)), find_virtiofsd(), tmp_path)
    with Qmp(monitor) as qmp:
        os.kill(volume.pid, signal.SIGKILL)
        assert has_ended(volume)
        assert volume.ending().endswith("was killed by signal 9")
        with pytest.raises(GuestError, match=f"^volume '{tmp_path}': "):
            volume.plug(qmp)
    volume.close()
    assert plugged_volumes(monitor) == []


def test_the_words_of_virtiofsd_are_kept(tmp_path: Path) -> None:
    # It knows no option of ours.
    volume = ServedVolume(SharedPath(str(tmp_path)), "/bin/cat", tmp_path)
    assert has_ended(volume)
    words = "Try '/bin/cat --help' for more information."
    assert volume.ending() == f"virtiofsd of {str(tmp_path)!r} has ended: {words}"
    assert not volume.listen()
    volume.close()


def test_what_cannot_be_served_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source, program, fault in (
        (tmp_path / "pipe", "/bin/true", "pipe': neither a file nor a directory"),
        (tmp_path, str(tmp_path / "none"), "none: No such file or directory"),
    ):
        with pytest.raises(GuestError, match=fault):
            ServedVolume(SharedPath(str(source)), program, tmp_path)
    assert os.listdir(tmp_path) == ["pipe"]
