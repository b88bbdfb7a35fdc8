# SPDX-License-Identifier: Apache-2.0
"""The host's socket of one connection, and the bytes that the socket has not taken yet.

Bytes for the guest are read from the socket straight into the guest's memory and are
never kept here. Bytes for the host are kept while the socket is full, as many as the
guest's credit allows.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from kata_host.guest.half_close import stop_receiving
from kata_host.guest.vsock.connection import Connection
from kata_host.guest.vsock.packet import Shutdown


class Endpoint:
    """The nonblocking socket `host` and the connection that it belongs to."""

    def __init__(self, connection: Connection, host: socket.socket) -> None:
        self.connection = connection
        self.readable = False
        """Whether the socket may have bytes: reported, and not found empty since."""
        self.ended = Shutdown.NOTHING
        """The directions that the host has ended."""
        self.closed = False
        self._host = host
        self._hung_up = False
        self._unsent = bytearray()
        self._ended_by_guest = Shutdown.NOTHING

    def fileno(self) -> int:
        """Return the descriptor of the host's socket."""
        return self._host.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether bytes of the guest are kept for the host."""
        return bool(self._unsent)

    def read_into(self, buffers: Sequence[memoryview]) -> int | None:
        """Read bytes of the host into `buffers` and return how many.

        Returns 0 at the end of the bytes, and None if there are none at this moment.
        """
        try:
            length = self._host.recvmsg_into(buffers)[0]
        except BlockingIOError:
            self.readable = False
            return None
        except OSError:
            # ECONNRESET: the host closed its socket without reading all of our bytes.
            # The host's own bytes have been delivered before this error, so the stream
            # has ended.
            length = 0
        if not length:
            self.readable = False
            self.ended |= Shutdown.BOTH if self._hung_up else Shutdown.SEND
        return length

    def hang_up(self) -> None:
        """Note that the host closed its socket, or that both directions have ended."""
        self._hung_up = True
        # The host's last bytes are still to be read, unless the guest takes no more.
        refused = self.connection.guest_shutdown & Shutdown.RECEIVE
        if refused or self.ended & Shutdown.SEND:
            self.ended = Shutdown.BOTH

    def send(self, buffers: Sequence[memoryview]) -> int:
        """Send bytes to the host and keep the rest; return how many the host took."""
        if self.ended & Shutdown.RECEIVE:
            return sum(len(buffer) for buffer in buffers)
        taken = 0 if self._unsent else self._send_now(buffers)
        left = taken
        for buffer in buffers:
            self._unsent += buffer[left:]
            left = max(0, left - len(buffer))
        return taken

    def flush(self) -> int:
        """Send bytes that were kept; return how many the host took."""
        if not self._unsent:
            return 0
        with memoryview(self._unsent) as unsent:
            taken = self._send_now([unsent])
        del self._unsent[:taken]
        return taken

    def _send_now(self, buffers: Sequence[memoryview]) -> int:
        try:
            return self._host.sendmsg(buffers, [], socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError:
            # The host reads no more. Bytes that the guest has already sent are taken
            # and dropped.
            self.ended |= Shutdown.RECEIVE
            return sum(len(buffer) for buffer in buffers)

    def end(self, shutdown: Shutdown) -> None:
        """Pass the guest's SHUTDOWN on to the host, each direction once.

        Call this when no bytes are kept.
        """
        new = shutdown & ~self._ended_by_guest
        self._ended_by_guest |= shutdown
        try:
            if new & Shutdown.SEND:
                self._host.shutdown(socket.SHUT_WR)
            if new & Shutdown.RECEIVE:
                stop_receiving(self._host)
        except OSError:
            # ENOTCONN: the host has closed already.
            return

    def close(self) -> None:
        """Close the socket so that the host reads an end of file, not an error."""
        if self.closed:
            return
        self.closed = True
        # A unix socket that is closed with unread bytes gives its peer ECONNRESET, an
        # AF_VSOCK socket gives an end. The guest has closed and takes no more bytes.
        try:
            while self._host.recv(65536):
                pass
        except OSError:
            pass
        self._host.close()
