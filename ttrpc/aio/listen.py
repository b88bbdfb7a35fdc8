# SPDX-License-Identifier: Apache-2.0
"""Listens on an address."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from typing import Final

from ttrpc.address import Address, HybridVsockAddress, UnixAddress, parse_address
from ttrpc.aio.dial import connect_unix

BACKLOG: Final = 512
"""Connections that may wait to be accepted (man 2 listen)."""
LOCK_ATTEMPTS: Final = 50
LOCK_PAUSE: Final = 0.002
"""Seconds; all pauses together are a tenth of one."""


def listen(
    address: Address | str,
    *,
    mode: int | None = None,
    owner: tuple[int, int] | None = None,
    backlog: int = BACKLOG,
) -> socket.socket:
    """Return a nonblocking listening socket.

    The file of a unix socket that a dead server left behind is replaced.

    Args:
        mode: Permissions of a unix socket's file; None takes the umask. Whoever may
            write the file may connect.
        owner: Its user id and group id; -1 keeps one as it is.
        backlog: Connections that may wait to be accepted.

    Raises:
        ValueError: `address` is not an address, or one that only a client can use; or
            `mode` or `owner` for a socket that has no file.
        OSError: the address is in use, or this process may not use it.
    """
    if isinstance(address, str):
        address = parse_address(address)
    if isinstance(address, HybridVsockAddress):
        raise ValueError(f"address '{address}': only the VMM listens there")
    if isinstance(address, UnixAddress) and not address.path.startswith("@"):
        return _listen_on_file(address, mode, owner, backlog)
    if mode is not None or owner is not None:
        raise ValueError(f"address '{address}': has no file for a mode or an owner")
    if isinstance(address, UnixAddress):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        name: str | tuple[int, int] = address.sockaddr
    else:
        sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        name = (address.cid, address.port)
    try:
        sock.bind(name)
        _start(sock, backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _listen_on_file(
    address: UnixAddress,
    mode: int | None,
    owner: tuple[int, int] | None,
    backlog: int,
) -> socket.socket:
    path = address.path
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _locked(os.path.dirname(path)):
            _remove_stale(address)
            sock.bind(path)
            try:
                # Nobody can connect before the socket listens.
                if owner is not None:
                    os.chown(path, *owner, follow_symlinks=False)
                if mode is not None:
                    os.chmod(path, mode)
                _start(sock, backlog)
            except BaseException:
                os.unlink(path)
                raise
    except BaseException:
        sock.close()
        raise
    return sock


def _start(sock: socket.socket, backlog: int) -> None:
    sock.listen(backlog)
    sock.setblocking(False)


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Let one server at a time look for a stale file there and put its own in place.

    Otherwise two that start at once may each find the stale file, and the second would
    remove the file of the first. The lock is that of flock(2) on the directory.

    Raises:
        BlockingIOError: another program keeps the directory locked.
    """
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        yield  # A directory that may be written but not read: there is no lock.
        return
    try:
        _lock(fd, directory)
        yield
    finally:
        os.close(fd)


def _lock(fd: int, directory: str) -> None:
    """Take the lock, which other servers keep for less than a millisecond."""
    for _ in range(LOCK_ATTEMPTS):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(LOCK_PAUSE)
    raise BlockingIOError(errno.EAGAIN, "locked by another program", directory)


def _remove_stale(address: UnixAddress) -> None:
    """Remove the socket file that no server listens on any more."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(address.path).st_mode):
            return
        try:
            connect_unix(address).close()
        except BlockingIOError:
            pass  # A live server, whose backlog is full.
        except ConnectionRefusedError:
            os.unlink(address.path)
