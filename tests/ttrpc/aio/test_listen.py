# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

import ttrpc.aio.listen as module
from tests.helpers.namespace import require_root
from ttrpc.address import UnixAddress
from ttrpc.aio import Server
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


def test_a_socket_file_has_the_mode_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    for mode in (0o600, 0o666, 0o660):
        with listen(f"unix://{path}", mode=mode):
            assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.root
def test_a_socket_file_has_the_owner_that_is_asked_for(tmp_path: Path) -> None:
    require_root()
    path = tmp_path / "a.sock"
    with listen(f"unix://{path}", mode=0o660, owner=(-1, 12345)):
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (0, 12345)
        assert stat.S_IMODE(found.st_mode) == 0o660


def test_a_file_that_cannot_be_given_away_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(PermissionError):
        listen(f"unix://{tmp_path}/a.sock", owner=(0, 0))
    assert not list(tmp_path.iterdir())


def test_nobody_connects_before_the_mode_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.sock"
    chmod = os.chmod

    def attempt(name: str, mode: int) -> None:
        with socket.socket(socket.AF_UNIX) as early:
            assert early.connect_ex(name) == errno.ECONNREFUSED
        chmod(name, mode)

    monkeypatch.setattr(os, "chmod", attempt)
    with listen(f"unix://{path}", mode=0o600):
        assert path.is_socket()


def test_the_backlog_is_the_one_that_is_asked_for(tmp_path: Path) -> None:
    path = f"{tmp_path}/a.sock"
    with listen(f"unix://{path}", backlog=0):
        queued = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for sock in queued:
            sock.setblocking(False)
        # Linux queues one more than the backlog.
        assert [it.connect_ex(path) for it in queued] == [0, errno.EAGAIN]
        for sock in queued:
            sock.close()


def test_two_servers_that_start_at_once_do_not_remove_each_others_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one comes while the first has found a stale file."""
    address = f"unix://{tmp_path}/a.sock"
    listen(address).close()
    original = module.connect_unix
    refused = []

    def meanwhile(found: UnixAddress) -> socket.socket:
        monkeypatch.setattr(module, "connect_unix", original)
        with pytest.raises(BlockingIOError, match="locked by another program"):
            listen(address)
        refused.append(found)
        return original(found)

    monkeypatch.setattr(module, "connect_unix", meanwhile)
    with listen(address):
        assert len(refused) == 1
        with pytest.raises(OSError, match="Address already in use"):
            listen(address)


def test_a_directory_that_cannot_be_read_has_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with listen(f"unix://{tmp_path}/a.sock"):
        assert (tmp_path / "a.sock").is_socket()


@pytest.mark.parametrize("address", ["unix://@ttrpc-test-mode", "vsock://-1:1024"])
def test_a_socket_without_a_file_has_no_mode(address: str) -> None:
    for options in ({"mode": 0o600}, {"owner": (0, 0)}):
        with pytest.raises(ValueError, match="has no file for a mode or an owner$"):
            listen(address, **options)  # type: ignore[arg-type]  # one of several


async def test_a_server_takes_the_same_options(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    async with Server([]) as server:
        await server.listen(f"unix://{path}", mode=0o600, backlog=1)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as given:
            with pytest.raises(ValueError, match="^socket: mode and owner are for"):
                await server.listen(given, mode=0o600)
    assert not path.exists()
