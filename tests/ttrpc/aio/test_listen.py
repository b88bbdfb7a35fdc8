# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ttrpc.aio.listen import listen


def test_a_socket_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/a.sock"
    listen(address).close()
    with listen(address), pytest.raises(OSError, match="Address already in use"):
        listen(address)


def test_a_server_that_is_busy_is_not_taken_for_dead(tmp_path: Path) -> None:
    path = tmp_path / "busy.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as queued:
        busy.bind(str(path))
        busy.listen(0)
        queued.connect(str(path))
        with pytest.raises(OSError, match="Address already in use"):
            listen(f"unix://{path}")


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="Address already in use"):
        listen(f"unix://{tmp_path}/file")
    assert (tmp_path / "file").read_text() == "mine"


def test_abstract_names_leave_nothing_behind() -> None:
    address = f"unix://@ttrpc-test-{os.getpid()}"
    for _ in range(2):
        listen(address).close()


def test_only_a_vmm_listens_on_a_hybrid_vsock() -> None:
    with pytest.raises(ValueError, match="^address 'hvsock:///a:1': only the VMM"):
        listen("hvsock:///a:1")
