# SPDX-License-Identifier: Apache-2.0
"""Connects to an address."""

from __future__ import annotations

import asyncio
import socket

from ttrpc.address import Address, HybridVsockAddress, UnixAddress, parse_address
from ttrpc.backoff import attempt_timeout, dial_backoff
from ttrpc.deadline import checked_timeout
from ttrpc.errors import Closed
from ttrpc.hvsock import connect_command, is_reply_complete


async def dial(address: Address | str, *, timeout: float | None) -> socket.socket:
    """Return a connected, nonblocking socket.

    Tries again for `timeout` seconds while no server listens, because a guest may
    still be booting. None tries once.

    Raises:
        ValueError: `address` is not an address, or `timeout` is negative or not a
            number. (Infinity tries for ever.)
        Closed: nobody listens; the message names the address and the last failure.
        RemoteProtocolError: the peer is not a hybrid vsock.
    """
    checked_timeout("timeout", timeout)
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
            # Also a TimeoutError of the kernel: vsock's connect gives up after 2 s.
            if timeout is None or loop.time() + backoff.pause > end:
                reason = str(exc) or "timed out"
                raise Closed(f"{address}: {reason}") from exc
        await asyncio.sleep(backoff.pause)
        backoff.failed()


async def _attempt(address: Address) -> socket.socket:
    if isinstance(address, UnixAddress):
        return connect_unix(address)
    if isinstance(address, HybridVsockAddress):
        sock = connect_unix(UnixAddress(address.path))
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


def connect_unix(address: UnixAddress) -> socket.socket:
    """Return a nonblocking socket that is connected to `address`.

    Raises:
        BlockingIOError: the listener's backlog is full.
        OSError: the connection failed.
    """
    # Not by asyncio's sock_connect, which takes EAGAIN for "in progress": a unix
    # socket connects at once or fails, and EAGAIN means that the backlog is full.
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
