# SPDX-License-Identifier: Apache-2.0
"""From an address to a connected socket, or to a listening one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from dataclasses import dataclass
from typing import Final

from ttrpc.address import Address, HybridVsockAddress, UnixAddress, parse_address
from ttrpc.backoff import attempt_timeout, dial_backoff
from ttrpc.errors import Closed
from ttrpc.hvsock import connect_command, is_reply_complete

BACKLOG: Final = 512


async def dial(address: Address | str, *, timeout: float | None) -> socket.socket:
    """Return a connected, nonblocking socket.

    Tries again for `timeout` seconds while nobody listens, as a guest that is
    still booting does not. None tries once.

    Raises:
        Closed: nobody listens; the message names the address and the last failure.
        RemoteProtocolError: what answers is not a hybrid vsock.
    """
    if isinstance(address, str):
        address = parse_address(address)
    loop = asyncio.get_running_loop()
    end = loop.time() + (timeout or 0)
    backoff = dial_backoff()
    while True:
        try:
            async with asyncio.timeout(attempt_timeout(timeout, end - loop.time())):
                return await _attempt(address)
        except PermissionError as exc:
            raise Closed(f"{address}: {exc}") from exc
        except OSError as exc:
            # Also TimeoutError: vsock's connect gives up after 2 s by itself.
            if timeout is None or loop.time() + backoff.pause > end:
                reason = str(exc) or "timed out"
                raise Closed(f"{address}: {reason}") from exc
        await asyncio.sleep(backoff.pause)
        backoff.failed()


async def _attempt(address: Address) -> socket.socket:
    if isinstance(address, UnixAddress):
        return _connect_unix(address)
    if isinstance(address, HybridVsockAddress):
        sock = _connect_unix(UnixAddress(address.path))
        try:
            await _ask_for_port(sock, address.port)
        except BaseException:
            sock.close()
            raise
        return sock
    sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address.cid, address.port))
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_unix(address: UnixAddress) -> socket.socket:
    # A unix socket connects at once or not at all. Its EAGAIN means that the
    # backlog is full, not, as asyncio's sock_connect takes it, in progress.
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


async def _ask_for_port(sock: socket.socket, port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, connect_command(port))
    reply = b""
    while not is_reply_complete(reply):
        byte = await loop.sock_recv(sock, 1)
        if not byte:
            raise ConnectionResetError(f"nobody listens on guest port {port}")
        reply += byte


def listen(address: Address | str) -> socket.socket:
    """Return a nonblocking listening socket.

    A unix socket that a dead server left behind is replaced.

    Raises:
        ValueError: it is an address that only a client can use.
        OSError: the address is taken, or not ours to take.
    """
    if isinstance(address, str):
        address = parse_address(address)
    if isinstance(address, HybridVsockAddress):
        raise ValueError(f"address '{address}': only the VMM listens there")
    if isinstance(address, UnixAddress):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        if isinstance(address, UnixAddress):
            _remove_stale(address)
            sock.bind(address.sockaddr)
        else:
            sock.bind((address.cid, address.port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(address: UnixAddress) -> None:
    if address.path.startswith("@"):
        return
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(address.path).st_mode):
            return
        try:
            _connect_unix(address).close()
        except BlockingIOError:
            pass  # Somebody listens, and has no time.
        except ConnectionRefusedError:
            os.unlink(address.path)


@dataclass(frozen=True, slots=True)
class SocketFile:
    """What a listening unix socket leaves in the file system."""

    path: str
    inode: int

    @classmethod
    def of(cls, sock: socket.socket) -> SocketFile | None:
        """Return the file of a socket, None when it has none (or not any more)."""
        name = sock.getsockname()
        # Those of the abstract namespace are bytes, those without a name empty.
        if sock.family != socket.AF_UNIX or not name or isinstance(name, bytes):
            return None
        try:
            return cls(name, os.stat(name).st_ino)
        except OSError:
            return None

    def remove(self) -> None:
        """Remove it, unless something else has its place."""
        with contextlib.suppress(OSError):
            if os.stat(self.path).st_ino == self.inode:
                os.unlink(self.path)
