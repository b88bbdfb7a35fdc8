# SPDX-License-Identifier: Apache-2.0
"""Connections to programs of a container, as if made by a process in it.

A container is hostile. TCP is spoken in its network namespace, to its loopback. The
path of a unix socket is resolved below its root, which no link leads out of, and the
socket that was found is used by its descriptor, so that it cannot be exchanged.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from kata_agent.blocking import blocking
from kata_agent.errors import Timeout, Unavailable
from kata_agent.forward.request import ForwardRequest
from kata_agent.linux.beneath import open_directory, opened, proc_path
from kata_agent.linux.namespace import CLONE_NEWNET, setns
from kata_agent.linux.openat2 import open_in_root

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_TIMEOUT: Final = 10.0
"""Seconds that a program may take to accept, and a path to be found."""
_LOOPBACKS: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
"""A program may listen on one of them only."""


async def connect(request: ForwardRequest, proc: Callable[[], Path]) -> socket.socket:
    """Return a nonblocking connection to the program that `request` names.

    `proc` returns the directory in `/proc` of a process of the container, as long as
    that process runs; it raises `AgentError` then. Raises that, `Unavailable` and
    `Timeout`.
    """
    connecting = _connect_unix if request.path else _connect_tcp
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await connecting(request, proc)
    except TimeoutError as error:
        raise Timeout(f"{request}: not accepted in {CONNECT_TIMEOUT:g} s") from error
    except OSError as error:
        raise Unavailable(f"{request}: {os.strerror(error.errno or 0)}") from error


async def _connect_tcp(
    request: ForwardRequest, proc: Callable[[], Path]
) -> socket.socket:
    refusal: OSError | None = None
    for family, address in _LOOPBACKS:
        try:
            connection = await _unless_cancelled(
                socket.socket.close, _socket_in, proc() / "ns/net", family
            )
        except OSError as error:
            # A guest without IPv6 has refused before.
            raise refusal or error from None
        try:
            # Otherwise the pid may have become that of another process before the open.
            proc()
            await asyncio.get_running_loop().sock_connect(
                connection, (address, request.port)
            )
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            refusal = refusal or error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    assert refusal is not None
    raise refusal


def _socket_in(namespace: Path, family: socket.AddressFamily) -> socket.socket:
    """Return a socket of a network namespace; the calling thread stays in it."""
    with opened(os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)) as descriptor:
        setns(descriptor, CLONE_NEWNET)
    connection = socket.socket(family, socket.SOCK_STREAM)
    connection.setblocking(False)
    return connection


async def _connect_unix(
    request: ForwardRequest, proc: Callable[[], Path]
) -> socket.socket:
    path = os.fspath(proc() / "root")
    root = await _unless_cancelled(os.close, open_directory, path)
    try:
        proc()  # As above.
    except BaseException:
        os.close(root)
        raise
    return await _unless_cancelled(
        socket.socket.close, _connect_below, root, request.path
    )


def _connect_below(root: int, path: str) -> socket.socket:
    """Connect to the unix socket `path` below `root`, a descriptor that is closed."""
    with opened(root), opened(open_in_root(root, path, os.O_PATH)) as found:
        if not stat.S_ISSOCK(os.fstat(found).st_mode):
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # A nonblocking connect fails at once while the listener's queue is full.
            timeout = struct.pack("ll", int(CONNECT_TIMEOUT), 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
            connection.connect(proc_path(found))
            connection.setblocking(False)
        except BaseException:
            connection.close()
            raise
        return connection


async def _unless_cancelled(
    discard: Callable[[T], None],
    function: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Call `function` in a thread; if the caller leaves, `discard` gets the result."""
    work = asyncio.ensure_future(blocking(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        work.add_done_callback(partial(_discard, discard))
        raise


def _discard(discard: Callable[[T], None], work: asyncio.Future[T]) -> None:
    if not work.cancelled() and work.exception() is None:
        discard(work.result())
