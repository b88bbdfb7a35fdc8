# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.guest import qmp as module
from kata_host.guest.qmp import Qmp, QmpError
from tests.helpers.paused_qemu import paused_qemu


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Path]:
    with paused_qemu(tmp_path / "vm") as monitor:
        yield monitor


def test_commands_have_results_and_events(monitor: Path) -> None:
    with Qmp(monitor) as qmp:
        assert qmp("query-status")["running"] is False
        qmp("device_add", driver="scsi-cd", id="two", bus="scsi0.0")
        qmp("device_del", id="two")
        event = qmp.wait_for_event(
            "DEVICE_DELETED", 30, lambda it: "device" in it["data"]
        )
        assert event["data"]["device"] == "two"
        with pytest.raises(QmpError, match="qmp: device_del: Device 'no' not found"):
            qmp("device_del", id="no")
        with pytest.raises(QmpError, match="qmp: timed out"):
            qmp.wait_for_event("DEVICE_DELETED", 0)


def test_a_descriptor_is_given_to_qemu(monitor: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, Qmp(monitor) as qmp:
        qmp.give_descriptor("one", theirs.fileno())
        address = {"type": "fd", "data": {"str": "one"}}
        backend = {"type": "socket", "data": {"addr": address, "server": False}}
        qmp("chardev-add", id="one", backend=backend)
        theirs.close()
        qmp("chardev-remove", id="one")
        assert ours.recv(1) == b""
        with pytest.raises(QmpError, match="qmp: getfd: "):
            qmp.give_descriptor("1", ours.fileno())


def test_one_client_is_served_at_a_time(
    monitor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Qmp(monitor):
        monkeypatch.setattr(module, "COMMAND_TIMEOUT", 0.05)
        with pytest.raises(QmpError, match="qmp: timed out"):
            Qmp(monitor)
        monkeypatch.undo()
    with Qmp(monitor) as qmp:
        qmp("query-status")


def test_an_end_is_an_error(monitor: Path, tmp_path: Path) -> None:
    with Qmp(monitor) as qmp:
        qmp("quit")
        with pytest.raises(QmpError, match="qmp: "):
            qmp.wait_for_event("NONE", 30)
    with pytest.raises(QmpError, match="No such file or directory"):
        Qmp(tmp_path / "none")
