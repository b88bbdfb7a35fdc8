# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import socket
import threading
from pathlib import Path

import pytest

from tests.helpers.hybrid import HANG_UP, vmm
from ttrpc.errors import Closed, RemoteProtocolError
from ttrpc.sync import dial as module
from ttrpc.sync.dial import dial


def test_a_guest_port_is_asked_for_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    with vmm(path, b"OK 1073741824\nhello") as host:
        with dial(f"hvsock://{path}:1024", timeout=None) as sock:
            assert sock.recv(100) == b"hello", "nothing behind the line is swallowed"
    assert host.asked == [b"CONNECT 1024\n"]


def test_it_is_asked_again_while_the_guest_boots(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    with vmm(path, HANG_UP, HANG_UP, b"OK 1\n"):
        dial(f"hvsock://{path}:1024", timeout=10).close()


def test_without_a_timeout_it_is_asked_once(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    reason = f"hvsock://{path}:7: nobody listens on guest port 7"
    with vmm(path, HANG_UP), pytest.raises(Closed, match=f"^{reason}$"):
        dial(f"hvsock://{path}:7", timeout=None)


def test_a_socket_that_is_no_hybrid_vsock_is_not_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    with vmm(path, b"HTTP/1.1 400 Bad Request\n"):
        with pytest.raises(RemoteProtocolError, match="answered b'HTTP/1.1 400"):
            dial(f"hvsock://{path}:7", timeout=10)


def test_a_vmm_that_never_answers_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(Closed, match=f"^hvsock://{path}:7: timed out$"):
            dial(f"hvsock://{path}:7", timeout=0.05)


def test_a_server_that_starts_late_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "late.sock"
    with socket.socket(socket.AF_UNIX) as listener:

        def start() -> None:
            listener.bind(str(path))
            listener.listen()

        timer = threading.Timer(0.05, start)
        timer.start()
        dial(f"unix://{path}", timeout=10).close()
        timer.join()


def test_an_attempt_that_times_out_is_not_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """AF_VSOCK's connect fails with ETIMEDOUT after 2 s while a guest boots."""
    ours, theirs = socket.socketpair()
    outcomes = [OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)), ours]

    def attempt(address: object, end: float) -> socket.socket:
        outcome = outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    monkeypatch.setattr(module, "_attempt", attempt)
    with ours, theirs:
        assert dial("vsock://3:1024", timeout=10) is ours


def test_a_missing_permission_is_reported_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def attempt(address: object, end: float) -> socket.socket:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(module, "_attempt", attempt)
    with pytest.raises(Closed, match=r"^unix:///x: .*Permission denied$"):
        dial("unix:///x", timeout=3600)
