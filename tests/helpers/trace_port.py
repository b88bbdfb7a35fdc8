# SPDX-License-Identifier: Apache-2.0
"""A collector in a thread, which a test can make absent, busy, broken or hung."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from kata_host.trace.received_span import ReceivedSpan, from_otlp
from kata_tracing.http1.message import HttpMessage, format_response
from kata_tracing.http1.message_reader import MessageReader

OK = format_response(200, "OK", {})
HANG = b""
"""A response that never comes."""


@dataclass
class FakeCollector:
    """Responds to each batch with the next of `answers`; the last one stays."""

    path: Path
    answers: list[bytes] = field(default_factory=lambda: [OK])
    requests: list[HttpMessage] = field(default_factory=list)
    """The requests that got a 200; their bodies are whole batches."""
    attempts: int = 0
    connections: int = 0
    close_after_answer: bool = False

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    def start(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._spawn(self._accept, self._listener)

    def stop(self) -> None:
        """Close all connections, and remove the socket."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            self.path.unlink(missing_ok=True)
        with self.changed:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def connect(self, timeout: float) -> socket.socket:
        """Connect, as the trace port does."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(timeout)
            connection.connect(str(self.path))
        except BaseException:
            connection.close()
            raise
        return connection

    def wait(self, condition: Callable[[FakeCollector], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), 20), (
                "the collector did not get there in time"
            )

    def spans(self) -> list[ReceivedSpan]:
        with self.changed:
            bodies = [message.body for message in self.requests]
        return [
            span
            for body in bodies
            for span in from_otlp(ExportTraceServiceRequest.FromString(body))
        ]

    def _spawn(
        self, target: Callable[[socket.socket], None], it: socket.socket
    ) -> None:
        thread = threading.Thread(target=target, args=(it,))
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.changed:
                self._open.append(connection)
                self.connections += 1
                self.changed.notify_all()
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        reader = MessageReader(max_body=16 << 20)
        try:
            while data := connection.recv(1 << 16):
                message = reader.feed(data)
                while message is not None:
                    self._answer(connection, message)
                    if self.close_after_answer:
                        return
                    message = reader.feed(b"")
        except OSError:
            return
        finally:
            with self.changed:
                self._open.remove(connection)
                connection.close()

    def _answer(self, connection: socket.socket, message: HttpMessage) -> None:
        with self.changed:
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self.attempts += 1
            if answer.startswith(b"HTTP/1.1 200"):
                self.requests.append(message)
            self.changed.notify_all()
        if answer != HANG:
            connection.sendall(answer)


@contextmanager
def fake_collector(path: Path) -> Iterator[FakeCollector]:
    """A collector that listens and takes everything."""
    collector = FakeCollector(path)
    collector.start()
    try:
        yield collector
    finally:
        collector.stop()
