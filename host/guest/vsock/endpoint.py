# SPDX-License-Identifier: Apache-2.0
"""The host's socket of one connection, and the bytes that it has not taken yet.

Bytes for the guest are read from the socket straight into the guest's memory and
never kept here; bytes for the host are kept when the socket is full, for as many
as the guest has credit.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from kata_host.guest.half_close import stop_receiving
from kata_host.guest.vsock.connection import Connection
from kata_host.guest.vsock.packet import Shutdown


class Endpoint:
    """One host socket; the socket is nonblocking, `connection` is its other end."""

    def __init__(self, connection: Connection, host: socket.socket) -> None:
        self.connection = connection
        self.readable = False
        """The kernel said so, and a read has not failed since."""
        self.ended = Shutdown.NOTHING
        """What the host will do no more."""
        self.closed = False
        self._host = host
        self._hung_up = False
        self._unsent = bytearray()
        self._ended_by_guest = Shutdown.NOTHING

    def fileno(self) -> int:
        return self._host.fileno()

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def read_into(self, buffers: Sequence[memoryview]) -> int | None:
        """Read what the host sent; None when there is nothing now, 0 at the end."""
        try:
            length = self._host.recvmsg_into(buffers)[0]
        except BlockingIOError:
            self.readable = False
            return None
        except OSError:
            # ECONNRESET: closed while some of our bytes were unread. What the host
            # sent before has been delivered by now, so this is an end as well.
            length = 0
        if not length:
            self.readable = False
            self.ended |= Shutdown.BOTH if self._hung_up else Shutdown.SEND
        return length

    def hang_up(self) -> None:
        """Note that the host closed its socket, or that both directions have ended."""
        self._hung_up = True
        # What it sent before is still to be read, unless the guest takes no more.
        refused = self.connection.guest_shutdown & Shutdown.RECEIVE
        if refused or self.ended & Shutdown.SEND:
            self.ended = Shutdown.BOTH

    def send(self, buffers: Sequence[memoryview]) -> int:
        """Give bytes to the host, or keep them; return how many it took."""
        if self.ended & Shutdown.RECEIVE:
            return sum(len(buffer) for buffer in buffers)
        taken = 0 if self._unsent else self._send_now(buffers)
        left = taken
        for buffer in buffers:
            self._unsent += buffer[left:]
            left = max(0, left - len(buffer))
        return taken

    def flush(self) -> int:
        """Send what was kept; return how many bytes the host took."""
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
            # The host reads no more. The guest may have more on its way: it is taken
            # and thrown away.
            self.ended |= Shutdown.RECEIVE
            return sum(len(buffer) for buffer in buffers)

    def end(self, shutdown: Shutdown) -> None:
        """Pass the guest's SHUTDOWN on, once; call when nothing is unsent."""
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
        """Close the socket so that the host reads an end, not an error."""
        if self.closed:
            return
        self.closed = True
        # A unix socket closed with unread bytes gives its peer ECONNRESET; AF_VSOCK
        # gives an end. Nobody will read these bytes: the guest has closed.
        try:
            while self._host.recv(65536):
                pass
        except OSError:
            pass
        self._host.close()
