# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import ttrpc.aio.listen as module
from tests.helpers.namespace import require_root
from ttrpc import ServerClosed
from ttrpc.address import UnixAddress
from ttrpc.aio import Server
from ttrpc.aio.listen import listen
from ttrpc.aio.socket_file import set_rights


async def test_a_socket_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/a.sock"
    (await listen(address)).close()
    with await listen(address), pytest.raises(OSError, match="Address already in use"):
        await listen(address)


async def test_a_server_that_is_busy_is_not_taken_for_dead(tmp_path: Path) -> None:
    path = tmp_path / "busy.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as queued:
        busy.bind(str(path))
        busy.listen(0)
        queued.connect(str(path))
        with pytest.raises(OSError, match="Address already in use"):
            await listen(f"unix://{path}")


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="Address already in use"):
        await listen(f"unix://{tmp_path}/file")
    assert (tmp_path / "file").read_text() == "mine"


async def test_abstract_names_leave_nothing_behind() -> None:
    address = f"unix://@ttrpc-test-{os.getpid()}"
    for _ in range(2):
        (await listen(address)).close()


async def test_only_a_vmm_listens_on_a_hybrid_vsock() -> None:
    with pytest.raises(ValueError, match="^address 'hvsock:///a:1': only the VMM"):
        await listen("hvsock:///a:1")


async def test_a_socket_file_has_the_mode_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    for mode in (0o600, 0o666, 0o660):
        with await listen(f"unix://{path}", mode=mode):
            assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.root
async def test_a_socket_file_has_the_owner_that_is_asked_for(tmp_path: Path) -> None:
    require_root()
    path = tmp_path / "a.sock"
    with await listen(f"unix://{path}", mode=0o660, owner=(-1, 12345)):
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (0, 12345)
        assert stat.S_IMODE(found.st_mode) == 0o660


async def test_a_file_that_cannot_be_given_away_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(PermissionError):
        await listen(f"unix://{tmp_path}/a.sock", owner=(0, 0))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777])
async def test_the_umask_does_not_matter_to_a_mode(tmp_path: Path, umask: int) -> None:
    """Nor is it changed meanwhile, because it is that of all threads."""
    path = tmp_path / "a.sock"
    before = os.umask(umask)
    try:
        for mode in (0o600, 0o660, 0o666):
            with await listen(f"unix://{path}", mode=mode):
                assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        assert os.umask(before) == umask


async def test_a_file_is_never_open_to_more_users_than_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody connects before the socket listens, but the file is there before."""
    path = tmp_path / "a.sock"
    modes = []

    def look(name: str, mode: int | None, owner: tuple[int, int] | None) -> None:
        with socket.socket(socket.AF_UNIX) as early:
            assert early.connect_ex(name) == errno.ECONNREFUSED
        modes.append(stat.S_IMODE(os.stat(name).st_mode))
        set_rights(name, mode, owner)

    monkeypatch.setattr(module, "set_rights", look)
    before = os.umask(0)
    try:
        with await listen(f"unix://{path}", mode=0o600):
            assert modes == [0o600]
    finally:
        os.umask(before)


@pytest.mark.parametrize("kind", ["link", "other name"])
async def test_another_file_in_its_place_keeps_its_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The owner of the directory replaces the socket that has just been bound."""
    path, other = tmp_path / "a.sock", tmp_path / "other.sock"

    def replace(name: str, mode: int | None, owner: tuple[int, int] | None) -> None:
        path.unlink()
        if kind == "link":
            path.symlink_to(other)
        else:
            os.link(other, path)
        set_rights(name, mode, owner)

    monkeypatch.setattr(module, "set_rights", replace)
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(other))
        other.chmod(0o600)
        with pytest.raises(OSError, match="replaced by another file"):
            await listen(f"unix://{path}", mode=0o666, owner=(12345, 12345))
        found = other.stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_uid == os.geteuid()


async def test_the_backlog_is_the_one_that_is_asked_for(tmp_path: Path) -> None:
    path = f"{tmp_path}/a.sock"
    with await listen(f"unix://{path}", backlog=0):
        queued = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for sock in queued:
            sock.setblocking(False)
        # Linux queues one more than the backlog.
        assert [it.connect_ex(path) for it in queued] == [0, errno.EAGAIN]
        for sock in queued:
            sock.close()


async def test_two_servers_that_start_at_once_do_not_remove_each_others_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one comes while the first has found a stale file."""
    address = f"unix://{tmp_path}/a.sock"
    (await listen(address)).close()
    original = module.connect_unix
    refused = []

    def second() -> None:
        with pytest.raises(BlockingIOError, match="locked by another program"):
            asyncio.run(listen(address))
        refused.append(address)

    def meanwhile(found: UnixAddress) -> socket.socket:
        monkeypatch.setattr(module, "connect_unix", original)
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        return original(found)

    monkeypatch.setattr(module, "connect_unix", meanwhile)
    with await listen(address):
        assert len(refused) == 1
        with pytest.raises(OSError, match="Address already in use"):
            await listen(address)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


async def test_the_loop_goes_on_while_a_directory_is_locked(tmp_path: Path) -> None:
    """Each wait for the lock is one of the loop's, and the lock may come."""
    pauses = asyncio.Event()
    original = asyncio.sleep

    async def pause(seconds: float) -> None:
        pauses.set()
        await original(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.asyncio, "sleep", pause)
        with locked(tmp_path):
            starting = asyncio.create_task(listen(f"unix://{tmp_path}/a.sock"))
            await pauses.wait()
            assert not starting.done()
        (await starting).close()


async def test_a_server_that_is_closed_while_it_waits_does_not_listen(
    tmp_path: Path,
) -> None:
    server = Server([])
    path = tmp_path / "a.sock"
    with locked(tmp_path):
        starting = asyncio.create_task(server.listen(f"unix://{path}"))
        await asyncio.sleep(0)
        assert not starting.done()
        server.close()
    with pytest.raises(ServerClosed):
        await starting
    assert not path.exists()


async def test_an_error_names_the_address(tmp_path: Path) -> None:
    wrong = f"unix://{tmp_path}/missing/a.sock"
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/missing'$"):
        await listen(wrong)
    taken = f"unix://{tmp_path}/a.sock"
    with await listen(taken), pytest.raises(OSError, match=f": '{taken}'$"):
        await listen(taken)
    long = UnixAddress(f"{tmp_path}/{'x' * 108}")
    with pytest.raises(OSError, match=f"too long: '{long}'$"):
        await listen(long)


async def test_a_link_is_left_alone(tmp_path: Path) -> None:
    """Also one to the socket of a dead server."""
    (await listen(f"unix://{tmp_path}/dead.sock")).close()
    link = tmp_path / "a.sock"
    link.symlink_to(tmp_path / "dead.sock")
    with pytest.raises(OSError, match="Address already in use"):
        await listen(f"unix://{link}")
    assert link.is_symlink()


async def test_a_directory_that_cannot_be_read_has_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.os, "open", refuse)
    with await listen(f"unix://{tmp_path}/a.sock"):
        assert (tmp_path / "a.sock").is_socket()


@pytest.mark.parametrize("address", ["unix://@ttrpc-test-mode", "vsock://-1:1024"])
async def test_a_socket_without_a_file_has_no_mode(address: str) -> None:
    for options in ({"mode": 0o600}, {"owner": (0, 0)}):
        with pytest.raises(ValueError, match="has no file for a mode or an owner$"):
            await listen(address, **options)  # type: ignore[arg-type]  # one of several


async def test_a_server_takes_the_same_options(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    async with Server([]) as server:
        await server.listen(f"unix://{path}", mode=0o600, backlog=1)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as given:
            with pytest.raises(ValueError, match="^socket: mode and owner are for"):
                await server.listen(given, mode=0o600)
    assert not path.exists()
