# SPDX-License-Identifier: Apache-2.0
"""A VMM's hybrid-vsock socket, as far as its handshake."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HANG_UP = b""
"""In place of an answer: no server listens in the guest, or there is no driver yet."""


class Vmm:
    """Gives one connection after the other its answer, and keeps each request."""

    def __init__(self, path: Path, answers: Sequence[bytes]) -> None:
        self.path = path
        self.asked: list[bytes] = []
        self.connections: list[socket.socket] = []
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()

    def serve(self) -> None:
        for answer in self._answers:
            connection, _ = self._listener.accept()
            self.asked.append(connection.recv(32))
            if answer == HANG_UP:
                connection.close()
            else:
                connection.sendall(answer)
                self.connections.append(connection)

    def close(self) -> None:
        for sock in (self._listener, *self.connections):
            sock.close()


@contextmanager
def vmm(path: Path, *answers: bytes) -> Iterator[Vmm]:
    """Listen at `path` for as many connections as there are answers."""
    host = Vmm(path, answers)
    thread = threading.Thread(target=host.serve)
    thread.start()
    try:
        yield host
        thread.join(timeout=10)
        assert not thread.is_alive(), "fewer connections came than were expected"
    finally:
        host.close()
