# SPDX-License-Identifier: Apache-2.0
"""A proxy between a client and a server that records their calls.

Bytes pass as they are. A client that asks for a port first, as a VMM's unix socket
wants it (`ttrpc/hvsock.py`), is answered; its port is the target's. A connection to
another port of the target's guest passes without a record, because it may be no ttrpc.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ttrpc.address import Address, HybridVsockAddress, UnixAddress
from ttrpc.aio.dial import dial
from ttrpc.aio.listen import listen
from ttrpc.aio.listener import Listener
from ttrpc.errors import TtrpcError
from ttrpc.hvsock import COMMAND_LIMIT, parse_connect_command
from ttrpc.recording.api import Api
from ttrpc.recording.recorder import Recorder, WriteLine

CHUNK: Final = 64 << 10
"""Bytes that are passed on at a time."""
FIRST_HOST_PORT: Final = 1 << 30
"""The number in an answer to `CONNECT`, which clients ignore, counts from here."""


class Tap:
    """Accepts connections and passes each on to the target until it is closed."""

    def __init__(
        self,
        target: Address,
        apis: Sequence[Api],
        write: WriteLine,
        *,
        redacts: bool,
        port: int | None = None,
    ) -> None:
        """Prepare a tap.

        Args:
            port: The one port of a hybrid vsock that is recorded; None for the
                target's, or any if the target has none.
        """
        self._target = target
        self._apis = apis
        self._write = write
        self._redacts = redacts
        own = None if isinstance(target, UnixAddress) else target.port
        self._port = own if port is None else port
        self._count = 0
        self._listener: Listener | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: Address) -> None:
        """Listen on `address`; a hybrid vsock's is the unix socket in the VMM's place.

        Raises:
            OSError: the address is in use, or this process may not use it.
        """
        if isinstance(address, HybridVsockAddress):
            address = UnixAddress(address.path)
        sock = await listen(address)
        self._listener = Listener(sock, accepted=self._accepted, owns_file=True)

    async def close(self) -> None:
        """End the listening and every connection."""
        if self._listener is not None:
            self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._count += 1
        task = asyncio.create_task(self._pass_on(self._count, sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, number: int, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=sock)
        recorder = Recorder(number, self._apis, self._write, redacts=self._redacts)
        recorder.write(connect=str(self._target))
        try:
            await self._connect(number, recorder, reader, writer)
        except (TtrpcError, ValueError, OSError) as exc:
            recorder.write(refused=str(exc))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(
        self,
        number: int,
        recorder: Recorder,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        first = await reader.read(1)
        target, is_recorded = self._target, True
        # A frame cannot begin so: its length would be over 1 GiB.
        if first in (b"C", b"c"):
            line = first + await _read_line(reader)
            recorder.write(handshake=line.decode(errors="replace").strip())
            port = parse_connect_command(line)
            is_recorded = self._port in (None, port)
            if not isinstance(target, UnixAddress):
                target = target if is_recorded else replace(target, port=port)
            elif not is_recorded:
                raise ValueError(f"target '{target}': has no port {port}")
            server = await dial(target, timeout=None)
            writer.write(b"OK %d\n" % (FIRST_HOST_PORT + number))
            first = b""
        else:
            server = await dial(target, timeout=None)
        server_reader, server_writer = await asyncio.open_connection(sock=server)
        if first:
            recorder.receive(first, up=True)
            server_writer.write(first)
        record = recorder if is_recorded else None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, server_writer, record, up=True))
                group.create_task(_pump(server_reader, writer, record, up=False))
        finally:
            server_writer.close()


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Read the rest of a command byte by byte: what follows belongs to the server."""
    line = b""
    while not line.endswith(b"\n") and len(line) < COMMAND_LIMIT:
        byte = await reader.read(1)
        if not byte:
            break
        line += byte
    return line


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    recorder: Recorder | None,
    *,
    up: bool,
) -> None:
    """Pass one direction on to its end, and the end as well."""
    # A connection that is reset has ended too.
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            # Recorded first: the answer must not be recorded before its call.
            if recorder is not None:
                recorder.receive(data, up=up)
            writer.write(data)
            await writer.drain()
    if recorder is not None:
        recorder.write(end="client" if up else "server")
    with contextlib.suppress(OSError):
        writer.write_eof()
