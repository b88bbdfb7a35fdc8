# SPDX-License-Identifier: Apache-2.0
"""The vsock backend against a real Linux driver, byte by byte."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.guest.qmp import Qmp
from kata_host.guest.vm_guest import VmGuest
from tests.helpers.vm import ECHO, Control, connect

pytestmark = pytest.mark.vm

MIB = 1 << 20
PORT = 5000


def receive_all(connection: socket.socket) -> bytes:
    data = bytearray()
    while part := connection.recv(65536):
        data += part
    return bytes(data)


def exchange(base: Path, size: int) -> bool:
    """Echo random bytes; end our half before all of them have come back."""
    sent = os.urandom(size)
    with connect(base, ECHO) as connection:
        with concurrent.futures.ThreadPoolExecutor(1) as reader:
            received = reader.submit(receive_all, connection)
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            return received.result() == sent


@contextlib.contextmanager
def host_port(guest: VmGuest, port: int, backlog: int = 8) -> Iterator[socket.socket]:
    path = Path(f"{guest.socket}_{port}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(30)
        listener.bind(str(path))
        listener.listen(backlog)
        yield listener
    path.unlink()


@contextlib.contextmanager
def pair(
    guest: VmGuest, control: Control, port: int = PORT
) -> Iterator[tuple[socket.socket, int]]:
    """A connection: the host's end, and the number of the guest's end."""
    control("listen", port)
    with connect(guest.socket, port) as host:
        control("accept", port)
        yield host, port


def test_a_command_in_small_letters_is_understood(vsock_guest: VmGuest) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(vsock_guest.socket))
        client.sendall(b"connect 1024\nhello")
        lines = client.makefile("rb")
        assert lines.readline().startswith(b"OK ")
        assert lines.read(5) == b"hello"
        lines.close()


@pytest.mark.parametrize("line", [b"hello\n", b"CONNECT x\n", b"C" * 64, b"\n"])
def test_an_invalid_command_is_closed(vsock_guest: VmGuest, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(vsock_guest.socket))
        client.sendall(line)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(64) == b""


def test_a_port_without_a_listener_is_refused(vsock_guest: VmGuest) -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(vsock_guest.socket, 9999)


def test_bytes_and_half_close_are_exact(vsock_guest: VmGuest) -> None:
    assert exchange(vsock_guest.socket, 4 * MIB)


def test_no_bytes_at_all_are_exact_too(vsock_guest: VmGuest) -> None:
    assert exchange(vsock_guest.socket, 0)


def test_parallel_streams_do_not_mix(vsock_guest: VmGuest) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sizes = [2 * MIB + n for n in range(8)]
        assert all(pool.map(lambda n: exchange(vsock_guest.socket, n), sizes))


def test_connections_one_after_another(vsock_guest: VmGuest) -> None:
    assert all(exchange(vsock_guest.socket, 100) for _ in range(100))


def test_connections_all_at_once(vsock_guest: VmGuest) -> None:
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        sizes = [1000] * 100
        assert all(pool.map(lambda n: exchange(vsock_guest.socket, n), sizes))


def test_the_guest_connects_to_the_host(vsock_guest: VmGuest, control: Control) -> None:
    with host_port(vsock_guest, 7000) as listener:
        assert control("connect", 1, 7000) == "ok"
        connection, _ = listener.accept()
        with connection:
            digest = control("send", 1, 1000)
            control("shutdown", 1, socket.SHUT_WR)
            assert hashlib.sha256(receive_all(connection)).hexdigest() == digest
            connection.sendall(b"answer")
            assert control("read", 1, 6) == "answer"


def test_the_guest_is_refused_by_a_port_without_a_listener(
    vsock_guest: VmGuest, control: Control
) -> None:
    assert control("connect", 1, 7001) == "ECONNRESET"


def test_the_guest_waits_for_a_listener_that_is_busy(
    vsock_guest: VmGuest, control: Control
) -> None:
    with host_port(vsock_guest, 7002, backlog=0) as listener:
        assert control("connect", 1, 7002) == "ok"
        control.start("connect", 2, 7002)
        accepted = [listener.accept()[0]]
        assert control.finish() == "ok"
        accepted.append(listener.accept()[0])
        for connection in accepted:
            connection.close()


def test_a_host_that_does_not_read_stops_the_guest_and_loses_nothing(
    vsock_guest: VmGuest, control: Control
) -> None:
    with pair(vsock_guest, control) as (host, number):
        control.start("send", number, 8 * MIB)
        # Other connections are served while this one is full.
        assert exchange(vsock_guest.socket, MIB)
        data = bytearray()
        while len(data) < 8 * MIB:
            data += host.recv(65536)
        assert control.finish() == hashlib.sha256(data).hexdigest()


def test_a_guest_that_does_not_read_stops_the_host_and_loses_nothing(
    vsock_guest: VmGuest, control: Control
) -> None:
    sent = os.urandom(8 * MIB)
    with pair(vsock_guest, control) as (host, number):
        with concurrent.futures.ThreadPoolExecutor(1) as sender:
            sending = sender.submit(host.sendall, sent)
            assert exchange(vsock_guest.socket, MIB)
            assert not sending.done()
            control.start("receive", number)
            sending.result()
            host.shutdown(socket.SHUT_WR)
        digest = hashlib.sha256(sent).hexdigest()
        assert control.finish() == [8 * MIB, digest, "end"]


def test_a_guest_that_ends_its_half_still_receives(
    vsock_guest: VmGuest, control: Control
) -> None:
    with pair(vsock_guest, control) as (host, number):
        digest = control("send", number, MIB // 8)
        control("shutdown", number, socket.SHUT_WR)
        assert hashlib.sha256(receive_all(host)).hexdigest() == digest
        sent = os.urandom(MIB)
        control.start("receive", number)
        host.sendall(sent)
        host.shutdown(socket.SHUT_WR)
        assert control.finish() == [MIB, hashlib.sha256(sent).hexdigest(), "end"]


def test_bytes_that_a_guest_sent_before_its_close_arrive(
    vsock_guest: VmGuest, control: Control
) -> None:
    with pair(vsock_guest, control) as (host, number):
        # More than a socket's buffer, so that some bytes wait in the backend.
        digest = control("send", number, 400_000)
        control("close", number)
        assert hashlib.sha256(receive_all(host)).hexdigest() == digest


def test_a_guest_that_closes_with_unread_bytes_ends_the_host_without_an_error(
    vsock_guest: VmGuest, control: Control
) -> None:
    with pair(vsock_guest, control) as (host, number):
        host.sendall(b"never read")
        digest = control("send", number, 10)
        control("close", number)
        assert hashlib.sha256(receive_all(host)).hexdigest() == digest


def test_bytes_that_a_host_sent_before_its_close_arrive(
    vsock_guest: VmGuest, control: Control
) -> None:
    sent = os.urandom(200_000)
    with pair(vsock_guest, control) as (host, number):
        host.sendall(sent)
        host.close()
        digest = hashlib.sha256(sent).hexdigest()
        assert control("receive", number) == [len(sent), digest, "end"]
        control("close", number)


def test_a_host_that_closes_ends_a_guest_that_sends(
    vsock_guest: VmGuest, control: Control
) -> None:
    with pair(vsock_guest, control) as (host, number):
        control.start("send", number, 64 * MIB)
        host.recv(1)
        host.close()
        assert control.finish() in ("EPIPE", "ECONNRESET")


def test_a_host_that_ended_its_half_and_then_left_is_noticed(
    vsock_guest: VmGuest, control: Control
) -> None:
    with pair(vsock_guest, control) as (host, number):
        host.shutdown(socket.SHUT_WR)
        assert control("receive", number)[0] == 0
        host.close()
        # A send without a reader fails, though not always the first one.
        answers = [control("send", number, 1) for _ in range(50)]
        assert answers[-1] in ("EPIPE", "ECONNRESET")


def test_memory_that_is_plugged_does_not_disturb_a_stream(
    vsock_guest: VmGuest,
) -> None:
    with connect(vsock_guest.socket, ECHO) as connection:
        connection.sendall(b"before")
        assert connection.recv(6) == b"before"
        backend = {"qom-type": "memory-backend-memfd", "id": "dimm0"}
        with Qmp(vsock_guest.sockets.qmp) as qmp:
            qmp("object-add", **backend, size=128 * MIB, share=True)
            qmp("device_add", driver="pc-dimm", id="plugged", memdev="dimm0")
        connection.sendall(b"after")
        assert connection.recv(5) == b"after"
    assert exchange(vsock_guest.socket, MIB)
