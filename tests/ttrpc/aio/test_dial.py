# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import errno
import os
import socket
from pathlib import Path

import pytest

from tests.helpers.hybrid import HANG_UP, vmm
from ttrpc.aio import dial as module
from ttrpc.aio.dial import dial
from ttrpc.aio.listen import listen
from ttrpc.errors import Closed, RemoteProtocolError


async def test_a_guest_port_is_asked_for_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    with vmm(path, b"OK 1073741824\nhello") as host:
        with await dial(f"hvsock://{path}:1024", timeout=None) as sock:
            sock.setblocking(True)
            assert sock.recv(100) == b"hello", "nothing behind the line is swallowed"
    assert host.asked == [b"CONNECT 1024\n"]


async def test_it_is_asked_again_while_the_guest_boots(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    with vmm(path, HANG_UP, HANG_UP, b"OK 1\n") as host:
        (await dial(f"hvsock://{path}:1024", timeout=10)).close()
    assert host.asked == 3 * [b"CONNECT 1024\n"]


async def test_without_a_timeout_it_is_asked_once(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    reason = f"hvsock://{path}:7: nobody listens on guest port 7"
    with vmm(path, HANG_UP), pytest.raises(Closed, match=f"^{reason}$"):
        await dial(f"hvsock://{path}:7", timeout=None)


async def test_a_socket_that_is_no_hybrid_vsock_is_not_asked_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "vm.sock"
    with vmm(path, b"HTTP/1.1 400 Bad Request\n"):
        with pytest.raises(RemoteProtocolError, match="answered b'HTTP/1.1 400"):
            await dial(f"hvsock://{path}:7", timeout=10)


async def test_a_vmm_that_never_answers_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(Closed, match=f"^hvsock://{path}:7: timed out$"):
            await dial(f"hvsock://{path}:7", timeout=0.05)


async def test_a_server_that_starts_late_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "late.sock"
    connecting = asyncio.ensure_future(dial(f"unix://{path}", timeout=10))
    await asyncio.sleep(0)
    with await listen(f"unix://{path}"):
        (await connecting).close()


async def test_an_attempt_that_times_out_is_not_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """AF_VSOCK's connect fails with ETIMEDOUT after 2 s while a guest boots."""
    ours, theirs = socket.socketpair()
    outcomes = [OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)), ours]

    async def attempt(address: object) -> socket.socket:
        outcome = outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    monkeypatch.setattr(module, "_attempt", attempt)
    with ours, theirs:
        assert await dial("vsock://3:1024", timeout=10) is ours


async def test_a_missing_permission_is_reported_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def attempt(address: object) -> socket.socket:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(module, "_attempt", attempt)
    with pytest.raises(Closed, match=r"^unix:///x: .*Permission denied$"):
        await dial("unix:///x", timeout=3600)


async def test_a_full_backlog_is_tried_again(tmp_path: Path) -> None:
    """Its EAGAIN is not `in progress`: asyncio would wait for ever."""
    path = tmp_path / "busy.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        with await dial(f"unix://{path}", timeout=None):
            with pytest.raises(Closed, match="Resource temporarily unavailable"):
                await dial(f"unix://{path}", timeout=None)
            connecting = asyncio.ensure_future(dial(f"unix://{path}", timeout=10))
            await asyncio.sleep(0)
            listener.accept()[0].close()
            (await connecting).close()
