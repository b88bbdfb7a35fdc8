# SPDX-License-Identifier: Apache-2.0
"""Connections into the namespaces of a process that may be hostile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.errors import InvalidState, Timeout, Unavailable
from kata_agent.forward import connect as connect_module
from kata_agent.forward.connect import connect
from kata_agent.forward.request import ForwardRequest

SELF = Path("/proc/self")


def itself() -> Path:
    return SELF


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a container; what is beside it is the guest's."""
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def proc(tmp_path: Path, root: Path) -> Path:
    """A directory as in /proc, of a process whose root is `root`."""
    path = tmp_path / "proc"
    path.mkdir()
    (path / "root").symlink_to(root)
    return path


@contextlib.contextmanager
def listening(path: Path, backlog: int = 8) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen(backlog)
        yield listener


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
async def test_tcp_on_either_loopback(
    family: socket.AddressFamily, address: str
) -> None:
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        request = ForwardRequest("", port=listener.getsockname()[1])
        with await connect(request, itself) as connection:
            accepted, _ = listener.accept()
            with accepted:
                accepted.sendall(b"hello")
            assert await asyncio.get_running_loop().sock_recv(connection, 9) == b"hello"


async def test_a_port_where_nothing_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        request = ForwardRequest("a1", port=port)
        with pytest.raises(Unavailable) as caught:
            await connect(request, itself)
    assert str(caught.value) == f"container 'a1': port {port}: Connection refused"


@pytest.mark.root
async def test_tcp_is_spoken_in_the_network_namespace_of_the_process() -> None:
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; read _"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"\n"
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            request = ForwardRequest("a1", port=listener.getsockname()[1])
            # The loopback of the new namespace is down: nothing is reached there.
            with pytest.raises(Unavailable, match="Network is unreachable"):
                await connect(request, lambda: Path(f"/proc/{process.pid}"))
            with await connect(request, itself):
                pass


async def test_a_unix_socket_below_the_root(proc: Path, root: Path) -> None:
    (root / "link").symlink_to("/s")
    with listening(root / "s") as listener:
        for path in ("/s", "/link", "/../s"):
            with await connect(ForwardRequest("a1", path=path), lambda: proc):
                listener.accept()[0].close()


@pytest.mark.parametrize("target", ["../outside", "/../outside", "{outside}"])
async def test_no_link_leads_out_of_the_root(
    proc: Path, root: Path, tmp_path: Path, target: str
) -> None:
    outside = tmp_path / "outside"
    (root / "s").symlink_to(target.format(outside=outside))
    with listening(outside), pytest.raises(Unavailable, match=r"unix socket '/s': "):
        await connect(ForwardRequest("a1", path="/s"), lambda: proc)


async def test_what_is_no_socket_is_refused_and_never_opened(
    proc: Path, root: Path
) -> None:
    (root / "file").touch()
    os.mkfifo(root / "fifo")
    for path in ("/file", "/fifo", "/"):
        with pytest.raises(Unavailable, match="Socket operation on non-socket"):
            await connect(ForwardRequest("a1", path=path), lambda: proc)
    with pytest.raises(Unavailable, match="No such file or directory"):
        await connect(ForwardRequest("a1", path="/none"), lambda: proc)


async def test_a_process_that_ends_meanwhile_is_not_taken_for_another(
    proc: Path, root: Path
) -> None:
    looks = 0

    def ending() -> Path:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise InvalidState("container 'a1': its init does not run")
        return proc

    (proc / "ns").symlink_to("/proc/self/ns")
    with listening(root / "s"):
        before = open_descriptors()
        for request in (ForwardRequest("a1", path="/s"), ForwardRequest("a1", port=1)):
            looks = 0
            with pytest.raises(InvalidState):
                await connect(request, ending)
        assert open_descriptors() == before


async def test_a_program_that_does_not_accept(
    proc: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ForwardRequest("a1", path="/s")
    with listening(root / "s", backlog=0) as listener:
        with await connect(request, lambda: proc):
            monkeypatch.setattr(connect_module, "CONNECT_TIMEOUT", 1.0)
            before = open_descriptors()
            with pytest.raises((Timeout, Unavailable)):
                await connect(request, lambda: proc)
            # The thread gives up as well, and leaves nothing.
            while open_descriptors() != before:
                await asyncio.sleep(0.01)
        listener.accept()[0].close()
