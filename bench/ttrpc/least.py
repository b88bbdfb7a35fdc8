# SPDX-License-Identifier: Apache-2.0
"""Echo streams by handlers like ours, and do nothing else that a server does.

    python -m bench.ttrpc.least PATH

It cuts frames, parses and serializes messages and runs a task for each stream. It has
no limits, no errors, no deadlines and no states. It is for small messages: the answers
to what one receive brings have to fit into the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections import deque
from typing import cast

from google.protobuf.wrappers_pb2 import BytesValue

from bench.ttrpc.ending import serve_until_stdin_ends
from ttrpc.aio.transport import RECEIVE_SIZE
from ttrpc.aio.wakeup import Wakeup
from ttrpc.frame import DATA, HEADER_STRUCT, REQUEST, Payload, RawFrame
from ttrpc.frame_decoder import FrameDecoder


class EchoStream:
    """One stream, as its handler sees it."""

    __slots__ = ("_answers", "_stream_id", "messages", "wakeup")

    def __init__(self, stream_id: int, answers: list[bytes]) -> None:
        self._stream_id = stream_id
        self._answers = answers
        self.messages: deque[Payload] = deque()
        self.wakeup = Wakeup()

    def __aiter__(self) -> EchoStream:
        return self

    async def __anext__(self) -> BytesValue:
        while not self.messages:
            await self.wakeup
        # FromString takes any bytes; protobuf's stubs know of `bytes` only.
        return BytesValue.FromString(cast(bytes, self.messages.popleft()))

    async def send(self, message: BytesValue) -> None:
        payload = message.SerializeToString()
        header = HEADER_STRUCT.pack(len(payload), self._stream_id, DATA, 0)
        self._answers.append(header + payload)


async def echo(stream: EchoStream) -> None:
    """Handle a stream."""
    async for message in stream:
        await stream.send(message)


class Connection:
    """One connection, in callbacks of the running loop."""

    def __init__(self, sock: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._decoder = FrameDecoder()
        self._answers: list[bytes] = []
        self._streams: dict[int, EchoStream] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        sock.setblocking(False)
        self._loop.add_reader(sock, self._on_readable)

    def _on_readable(self) -> None:
        data = b""
        with contextlib.suppress(ConnectionError):
            data = self._sock.recv(RECEIVE_SIZE)
        if not data:
            self._close()
            return
        received = []
        for frame in cast(list[RawFrame], self._decoder.receive(data)):
            stream_id, message_type, flags, payload = frame
            if message_type == REQUEST:
                self._open(stream_id)
            elif flags:
                self._end(stream_id, flags)
            else:
                stream = self._streams[stream_id]
                stream.messages.append(payload)
                received.append(stream)
        for stream in received:
            stream.wakeup.wake()
        self._flush()

    def _open(self, stream_id: int) -> None:
        stream = self._streams[stream_id] = EchoStream(stream_id, self._answers)
        self._tasks[stream_id] = self._loop.create_task(echo(stream))
        # Behind the first step of the task, which may have a message already.
        self._loop.call_soon(self._flush)

    def _end(self, stream_id: int, flags: int) -> None:
        """The client has closed its direction: close the other one too."""
        del self._streams[stream_id]
        self._tasks.pop(stream_id).cancel()
        self._answers.append(HEADER_STRUCT.pack(0, stream_id, DATA, flags))

    def _flush(self) -> None:
        if self._answers:
            with contextlib.suppress(ConnectionError):
                self._sock.sendall(b"".join(self._answers))
            self._answers.clear()

    def _close(self) -> None:
        self._loop.remove_reader(self._sock)
        self._sock.close()
        for task in self._tasks.values():
            task.cancel()


async def serve(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        loop = asyncio.get_running_loop()
        loop.add_reader(listener, lambda: Connection(listener.accept()[0]))
        await serve_until_stdin_ends()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
