# SPDX-License-Identifier: Apache-2.0
"""Sockets of the trace port."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kata_host.forwarder.listen import listen, listen_unix
from tests.helpers.collector import FORWARDER, eventually, program
from tests.helpers.namespace import require_root


async def test_an_address_of_a_guest_is_its_trace_port(tmp_path: Path) -> None:
    with (await listen(f"hvsock://{tmp_path}/guest.sock:10240")).socket as listener:
        assert listener.getsockname() == f"{tmp_path}/guest.sock_10240"


@pytest.mark.parametrize(
    "address", ["unix://@name", "vsock://x:1", "/x", "hvsock:///x"]
)
async def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        await listen(address)


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
async def test_a_socket_is_made_with_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "port"
    with (await listen_unix(path, mode=mode)).socket:
        assert path.stat().st_mode & 0o777 == mode


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "port"
    (await listen_unix(path)).socket.close()
    with (await listen_unix(path)).socket:
        with pytest.raises(OSError, match="Address already in use"):
            await listen_unix(path)


async def test_a_file_that_is_not_a_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("precious")
    with pytest.raises(OSError, match="Address already in use"):
        await listen_unix(path)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="Address already in use"):
        await listen_unix(path)


def test_a_socket_of_an_ended_forwarder_is_replaced(tmp_path: Path) -> None:
    """The forwarder became `nobody`, which cannot remove it from root's directory."""
    require_root()
    path = tmp_path / "port"
    for _ in range(2):
        command = (*FORWARDER, f"--listen=unix://{path}", "--file=/dev/null")
        with program(*command):
            eventually(lambda: can_connect(path), "forwarder")


async def test_a_socket_may_belong_to_a_group(tmp_path: Path) -> None:
    require_root()
    path = tmp_path / "port"
    with (await listen(f"unix://{path}", mode=0o660, group=12345)).socket:
        found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, 12345, 0o660)


def test_the_command_gives_its_socket_to_a_group(tmp_path: Path) -> None:
    require_root()
    path = tmp_path / "port"
    options = ("--file=/dev/null", "--socket-mode=660", "--socket-group=daemon")
    with program(*FORWARDER, f"--listen=unix://{path}", *options):
        eventually(lambda: can_connect(path), "forwarder")
        assert path.group() == "daemon"
        assert path.stat().st_mode & 0o777 == 0o660


def can_connect(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0
