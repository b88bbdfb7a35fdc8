# SPDX-License-Identifier: Apache-2.0
"""The whole backend: the test is QEMU, the guest's driver, and the clients."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.guest.vsock import backend
from kata_host.guest.vsock.backend import Backend
from kata_host.guest.vsock.packet import HOST_CID, Header, Operation, Shutdown
from kata_host.guest.vsock.virtqueue import VirtqueueError
from kata_host.log_limit import LogLimit
from tests.helpers.descriptors import used_up
from tests.helpers.virtio import CID, Driver, Qemu, SharedMemory

GUEST_PORT = 1024


class Running:
    """A backend in a thread, with a guest whose driver is up."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "guest.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self.ours, theirs = socket.socketpair()
        self._theirs = theirs
        self.error: Exception | None = None
        self._backend = Backend(theirs, self._listener, self.path, CID)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.memory = SharedMemory()
        self.driver = Driver(Qemu(self.ours), self.memory)
        self._host_port = 0

    def _run(self) -> None:
        try:
            self._backend.run()
        except Exception as error:
            self.error = error

    def dial(self, line: bytes) -> socket.socket:
        """Connect as a client, and send a first line."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(str(self.path))
        client.sendall(line)
        return client

    def send(
        self, operation: int, data: bytes = b"", *, host_port: int, flags: int = 0
    ) -> None:
        """Have the guest send a packet."""
        ports = (GUEST_PORT, host_port)
        self.driver.send(
            Header(CID, HOST_CID, *ports, len(data), 1, operation, flags, 1 << 16, 0),
            data,
        )

    def connect(self) -> tuple[socket.socket, int]:
        """Connect a client to the guest; return its socket and its port."""
        client = self.dial(b"CONNECT %d\n" % GUEST_PORT)
        header, _ = self.driver.receive()
        assert (header.operation, header.dst_port) == (Operation.REQUEST, GUEST_PORT)
        self.send(Operation.RESPONSE, host_port=header.src_port)
        assert client.recv(100) == b"OK %d\n" % header.src_port
        return client, header.src_port

    def wait_for_error(self) -> Exception | None:
        self._thread.join(10)
        return self.error

    def close(self) -> None:
        self.ours.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
        for each in (self._theirs, self._listener):
            each.close()
        self.driver.close()
        self.memory.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.close()


def test_a_client_and_the_guest_exchange_bytes(running: Running) -> None:
    client, port = running.connect()
    with client:
        running.send(Operation.RW, b"from the guest", host_port=port)
        assert client.recv(100) == b"from the guest"
        client.sendall(b"from the host")
        header, data = running.driver.receive()
        assert (header.operation, data) == (Operation.RW, b"from the host")


def test_a_client_that_closes_shuts_both_directions_down(running: Running) -> None:
    client, port = running.connect()
    client.close()
    header, _ = running.driver.receive()
    assert (header.operation, header.flags) == (Operation.SHUTDOWN, Shutdown.BOTH)
    running.send(Operation.RST, host_port=port)


def test_bytes_behind_the_command_are_the_guests(running: Running) -> None:
    with running.dial(b"connect 1024\nhello") as client:
        request, _ = running.driver.receive()
        running.send(Operation.RESPONSE, host_port=request.src_port)
        assert client.recv(100).startswith(b"OK ")
        _, data = running.driver.receive()
        assert data == b"hello"


@pytest.mark.parametrize("line", [b"HELLO\n", b"CONNECT x\n", b"x" * 100])
def test_an_invalid_command_is_closed_without_text(
    running: Running, line: bytes
) -> None:
    with running.dial(line) as client:
        try:
            assert client.recv(100) == b""
        except ConnectionResetError:
            pass  # Closed before all of the line was read.


def test_the_guest_reaches_a_listener_of_the_host(
    running: Running, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{running.path}_10240")
        listener.listen()
        listener.settimeout(10)
        running.send(Operation.REQUEST, host_port=10240)
        header, _ = running.driver.receive()
        assert header.operation == Operation.RESPONSE
        connection, _ = listener.accept()
        with connection:
            running.send(Operation.RW, b"spans", host_port=10240)
            assert connection.recv(100) == b"spans"


def test_a_port_without_a_listener_is_reset(running: Running) -> None:
    running.send(Operation.REQUEST, host_port=10241)
    header, _ = running.driver.receive()
    assert header.operation == Operation.RST


def test_a_megabyte_arrives_whole_through_eight_buffers(running: Running) -> None:
    client, port = running.connect()
    data = os.urandom(1 << 20)
    thread = threading.Thread(target=client.sendall, args=[data])
    thread.start()
    received = b""
    while len(received) < len(data):
        header, part = running.driver.receive()
        assert header.operation == Operation.RW
        received += part
        # The guest's program reads at once.
        ports = (GUEST_PORT, port)
        update = (0, 1, Operation.CREDIT_UPDATE, 0, 1 << 16, len(received))
        running.driver.send(Header(CID, HOST_CID, *ports, *update))
    thread.join()
    assert received == data
    client.close()


def test_packets_that_make_no_sense_are_dropped(running: Running) -> None:
    ports = (GUEST_PORT, 10240)
    # Its header says more bytes than there are.
    running.driver.send(Header(CID, HOST_CID, *ports, 100, 1, 5, 0, 0, 0), b"few")
    client, _ = running.connect()
    client.close()


def test_a_guest_does_not_flood_the_log(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    ports = (GUEST_PORT, 10240)
    for _ in range(20):
        running.driver.send(Header(CID, HOST_CID, *ports, 100, 1, 5, 0, 0, 0), b"few")
        client, port = running.connect()
        with client:
            # A second time, which is none of the protocol.
            running.send(Operation.RESPONSE, host_port=port)
            assert running.driver.receive()[0].operation == Operation.RST
    assert len(caplog.messages) == 2, caplog.messages


def test_a_broken_ring_ends_the_backend(running: Running) -> None:
    running.driver.transmitting.offer_head(0xFFFF)
    running.driver.kick()
    assert isinstance(running.wait_for_error(), VirtqueueError)


def test_the_end_of_qemu_is_the_end_of_the_backend(running: Running) -> None:
    running.ours.close()
    assert running.wait_for_error() is None


def test_without_descriptors_clients_wait_and_the_backend_rests(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backend, "ACCEPT_PAUSE", 0.02)
    every = lambda _, *words: backend.log.warning(*words)  # noqa: E731
    monkeypatch.setattr(LogLimit, "warning", every)
    client, port = running.connect()
    waiting = socket.socket(socket.AF_UNIX)
    with client, waiting:
        with used_up():
            waiting.connect(str(running.path))
            while len(caplog.messages) < 3:
                running.send(Operation.RW, b"ping", host_port=port)
                assert client.recv(4) == b"ping"
        assert all("Too many open files" in message for message in caplog.messages)
        times = [record.created for record in caplog.records]
        assert times[-1] - times[0] > 0.9 * 0.02 * (len(times) - 1)
        waiting.sendall(b"CONNECT %d\n" % GUEST_PORT)
        while running.driver.receive()[0].operation != Operation.REQUEST:
            pass
