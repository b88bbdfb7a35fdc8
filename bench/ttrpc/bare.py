# SPDX-License-Identifier: Apache-2.0
"""Echo the bytes of streams without looking at them: what any server in Python costs.

    python -m bench.ttrpc.bare loop|asyncio PATH

Behind the Requests that open its streams, the Data frames of a client are their own
echoes. So this server skips the Requests and sends all other bytes back, in threads
that loop over `recv` and `send` or in a reader callback of asyncio. It is for small
messages: what one receive brings has to fit into the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading

from bench.ttrpc.ending import serve_until_stdin_ends
from ttrpc.aio.transport import RECEIVE_SIZE
from ttrpc.frame import HEADER_SIZE, HEADER_STRUCT, REQUEST


def skip_requests(data: bytes) -> bytes:
    """Return the bytes behind the Requests at the start of `data`, which are whole."""
    while data:
        length, _, kind, _ = HEADER_STRUCT.unpack_from(data)
        if kind != REQUEST:
            break
        data = data[HEADER_SIZE + length :]
    return data


def is_request(data: bytes) -> bool:
    """Whether received bytes begin with a Request; its type is behind two numbers."""
    return data[8] == REQUEST


def echo(sock: socket.socket) -> bool:
    """Send back what there is to receive. Returns whether the connection goes on."""
    data = sock.recv(RECEIVE_SIZE)
    if not data:
        return False
    if is_request(data):
        data = skip_requests(data)
    if data:
        sock.sendall(data)
    return True


def echo_all(sock: socket.socket) -> None:
    """Echo until the client closes the connection."""
    with sock, contextlib.suppress(ConnectionError):
        while echo(sock):
            pass


def accept_into_threads(listener: socket.socket) -> None:
    """Start a thread for each connection."""
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=echo_all, args=(sock,), daemon=True).start()


def accept_into_loop(listener: socket.socket) -> None:
    """Accept one connection and echo in callbacks of the running loop."""
    loop = asyncio.get_running_loop()
    sock, _ = listener.accept()
    sock.setblocking(False)

    def on_readable() -> None:
        goes_on = False
        with contextlib.suppress(ConnectionError):
            goes_on = echo(sock)
        if not goes_on:
            loop.remove_reader(sock)
            sock.close()

    loop.add_reader(sock, on_readable)


async def serve(way: str, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        if way == "asyncio":
            loop = asyncio.get_running_loop()
            loop.add_reader(listener, accept_into_loop, listener)
        else:
            accepting = threading.Thread(
                target=accept_into_threads, args=(listener,), daemon=True
            )
            accepting.start()
        await serve_until_stdin_ends()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
