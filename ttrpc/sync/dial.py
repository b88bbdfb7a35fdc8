# SPDX-License-Identifier: Apache-2.0
"""Connects to an address, and blocks meanwhile."""

from __future__ import annotations

import socket
import time

from ttrpc.address import Address, HybridVsockAddress, UnixAddress, parse_address
from ttrpc.backoff import attempt_timeout, dial_backoff
from ttrpc.deadline import checked_timeout
from ttrpc.errors import Closed
from ttrpc.hvsock import connect_command, is_reply_complete


def dial(address: Address | str, *, timeout: float | None) -> socket.socket:
    """Return a connected socket. `timeout` and errors as with `ttrpc.aio.dial.dial`."""
    checked_timeout("timeout", timeout)
    if isinstance(address, str):
        address = parse_address(address)
    end = time.monotonic() + (timeout or 0)
    backoff = dial_backoff()
    while True:
        now = time.monotonic()
        try:
            return _attempt(address, now + attempt_timeout(timeout, end - now))
        except PermissionError as exc:
            raise Closed(f"{address}: {exc}") from exc
        except OSError as exc:
            if timeout is None or time.monotonic() + backoff.pause > end:
                raise Closed(f"{address}: {exc}") from exc
        time.sleep(backoff.pause)
        backoff.failed()


def _attempt(address: Address, end: float) -> socket.socket:
    family = (
        socket.AF_UNIX
        if isinstance(address, UnixAddress | HybridVsockAddress)
        else socket.AF_VSOCK
    )
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        _set_timeout(sock, end)
        if isinstance(address, UnixAddress):
            sock.connect(address.sockaddr)
        elif isinstance(address, HybridVsockAddress):
            sock.connect(UnixAddress(address.path).sockaddr)
            _ask_for_port(sock, address.port, end)
        else:
            sock.connect((address.cid, address.port))
    except BaseException:
        sock.close()
        raise
    return sock


def _ask_for_port(sock: socket.socket, port: int, end: float) -> None:
    sock.sendall(connect_command(port))
    reply = b""
    while not is_reply_complete(reply):
        _set_timeout(sock, end)
        byte = sock.recv(1)
        if not byte:
            raise ConnectionResetError(f"nobody listens on guest port {port}")
        reply += byte


def _set_timeout(sock: socket.socket, end: float) -> None:
    remaining = end - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("timed out")
    sock.settimeout(remaining)
