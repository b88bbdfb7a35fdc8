#!/usr/bin/python3 -IS
# SPDX-License-Identifier: Apache-2.0
"""PID 1 of a guest without an agent: the other end of the vsock tests.

    1024  echo: sends every byte back, and ends its half after the host's end
    1030  control: one JSON list a line, one JSON answer a line

Only the standard library is imported, because the tests are of the backend alone.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

ECHO, CONTROL = 1024, 1030
HOST_CID = 2


def listen(port: int, handle: Callable[[socket.socket], None]) -> None:
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    listener.bind((socket.VMADDR_CID_ANY, port))
    listener.listen(128)

    def serve(connection: socket.socket) -> None:
        with connection:
            handle(connection)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    # Wait for the host's close, because an earlier close would race with its reading.
    connection.recv(1)


class Commands:
    """The commands of the control port; `kept` holds connections by number."""

    def __init__(self) -> None:
        self.kept: dict[int, socket.socket] = {}

    def listen(self, port: int) -> None:
        """Take connections on `port`; `accept` keeps one as number `port`."""
        listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        listener.bind((socket.VMADDR_CID_ANY, port))
        listener.listen(1)
        self.kept[-port] = listener

    def accept(self, port: int) -> None:
        listener = self.kept.pop(-port)
        self.kept[port], _ = listener.accept()
        listener.close()

    def connect(self, number: int, port: int) -> str:
        """Connect to a port of the host; return `ok` or the errno's name."""
        connection = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        try:
            connection.connect((HOST_CID, port))
        except OSError as error:
            connection.close()
            return errno.errorcode[error.errno]
        self.kept[number] = connection
        return "ok"

    def send(self, number: int, size: int) -> str:
        """Send `size` random bytes; return their digest, or the errno's name."""
        data = os.urandom(size)
        try:
            self.kept[number].sendall(data)
        except OSError as error:
            return errno.errorcode[error.errno]
        return hashlib.sha256(data).hexdigest()

    def receive(self, number: int) -> list[Any]:
        """Read to the end; return the number of bytes, the digest, the errno's name."""
        total, digest, end = 0, hashlib.sha256(), "end"
        try:
            while data := self.kept[number].recv(65536):
                total += len(data)
                digest.update(data)
        except OSError as error:
            end = errno.errorcode[error.errno]
        return [total, digest.hexdigest(), end]

    def read(self, number: int, size: int) -> str:
        return self.kept[number].recv(size).decode()

    def shutdown(self, number: int, how: int) -> None:
        self.kept[number].shutdown(how)

    def close(self, number: int) -> None:
        self.kept.pop(number).close()


def control(connection: socket.socket) -> None:
    commands = Commands()
    for line in connection.makefile("rb"):
        name, *arguments = json.loads(line)
        answer = getattr(commands, name)(*arguments)
        connection.sendall(json.dumps(answer).encode() + b"\n")


def main() -> None:
    listen(CONTROL, control)
    listen(ECHO, echo)
    threading.Event().wait()


main()
