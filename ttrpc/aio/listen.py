# SPDX-License-Identifier: Apache-2.0
"""Listens on an address."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import AsyncIterator
from typing import Final

from ttrpc.address import Address, HybridVsockAddress, UnixAddress, parse_address
from ttrpc.aio.dial import connect_unix
from ttrpc.aio.socket_file import set_rights

BACKLOG: Final = 512
"""Connections that may wait to be accepted (man 2 listen)."""
LOCK_ATTEMPTS: Final = 50
LOCK_PAUSE: Final = 0.002
"""Seconds; all pauses together are a tenth of one."""


async def listen(
    address: Address | str,
    *,
    mode: int | None = None,
    owner: tuple[int, int] | None = None,
    backlog: int = BACKLOG,
) -> socket.socket:
    """Return a nonblocking listening socket.

    The file of a unix socket that a dead server left behind is replaced. Waits, for a
    tenth of a second at most, while another server does the same in that directory.

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
    is_file = isinstance(address, UnixAddress) and not address.path.startswith("@")
    if not is_file and (mode is not None or owner is not None):
        raise ValueError(f"address '{address}': has no file for a mode or an owner")
    try:
        if isinstance(address, UnixAddress) and is_file:
            return await _listen_on_file(address, mode, owner, backlog)
        if isinstance(address, UnixAddress):
            return _listen_on_name(socket.AF_UNIX, address.sockaddr, backlog)
        return _listen_on_name(socket.AF_VSOCK, (address.cid, address.port), backlog)
    except OSError as exc:
        if exc.filename is not None:
            raise
        # The kernel's error does not name the address. Python's, of a name that is too
        # long, has no number either.
        number, reason = exc.errno or errno.EINVAL, exc.strerror or str(exc)
        raise OSError(number, reason, str(address)) from exc


def _listen_on_name(
    family: socket.AddressFamily, name: str | tuple[int, int], backlog: int
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.bind(name)
        _start(sock, backlog)
    except BaseException:
        sock.close()
        raise
    return sock


async def _listen_on_file(
    address: UnixAddress,
    mode: int | None,
    owner: tuple[int, int] | None,
    backlog: int,
) -> socket.socket:
    path = address.path
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if mode is not None:
            # The file gets the mode of the socket, less the umask (unix_bind_bsd in
            # net/unix/af_unix.c): it is never open to more users than it should be.
            os.fchmod(sock.fileno(), mode)
        async with _locked(os.path.dirname(path)):
            _remove_stale(address)
            sock.bind(path)
            try:
                # Nobody can connect before the socket listens.
                set_rights(path, mode, owner)
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


@contextlib.asynccontextmanager
async def _locked(directory: str) -> AsyncIterator[None]:
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
        await _lock(fd, directory)
        yield
    finally:
        os.close(fd)


async def _lock(fd: int, directory: str) -> None:
    """Take the lock, which other servers keep for less than a millisecond."""
    for _ in range(LOCK_ATTEMPTS):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        await asyncio.sleep(LOCK_PAUSE)
    raise BlockingIOError(errno.EAGAIN, "locked by another program", directory)


def _remove_stale(address: UnixAddress) -> None:
    """Remove the socket file that no server listens on any more."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(address.path).st_mode):
            return
        try:
            connect_unix(address).close()
        except BlockingIOError:
            pass  # A live server, whose backlog is full.
        except ConnectionRefusedError:
            os.unlink(address.path)
