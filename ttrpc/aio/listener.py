# SPDX-License-Identifier: Apache-2.0
"""Accepts the connections of one listening socket."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

from ttrpc.aio.socket_file import SocketFile
from ttrpc.backoff import Backoff

log = logging.getLogger(__name__)

ACCEPT_BATCH: Final = 64
"""Connections that are accepted before other callbacks of the loop get their turn."""
OUT_OF_RESOURCES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """A listening socket on the event loop, until it is closed."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        accepted: Callable[[socket.socket], object],
        owns_file: bool,
    ) -> None:
        """Start to accept.

        Args:
            sock: A nonblocking socket that listens; the listener owns it from now on.
            accepted: Called with each connection, which the called function then owns.
            owns_file: Whether to remove the file of a unix socket at the end.
        """
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._accepted = accepted
        self._file = SocketFile.of(sock) if owns_file else None
        self._backoff = Backoff(0.001, 1.0)
        self._retry: asyncio.TimerHandle | None = None
        self._loop.add_reader(sock, self._on_acceptable)

    def close(self) -> None:
        """Stop to accept, close the socket and remove its file; harmless if closed."""
        self._close_socket()
        if self._file is not None:
            self._file.remove()
            self._file = None

    def _on_acceptable(self) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                self._accept_failed(exc)
                return
            self._backoff.succeeded()
            self._accepted(sock)
            if self._sock.fileno() < 0:
                return

    def _accept_failed(self, exc: OSError) -> None:
        log.error("accept failed", exc_info=exc)
        if exc.errno in OUT_OF_RESOURCES:
            self._loop.remove_reader(self._sock)
            self._retry = self._loop.call_later(self._backoff.pause, self._accept_again)
            self._backoff.failed()
        else:
            self._close_socket()

    def _accept_again(self) -> None:
        self._loop.add_reader(self._sock, self._on_acceptable)

    def _close_socket(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()
