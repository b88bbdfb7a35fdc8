# SPDX-License-Identifier: Apache-2.0
"""Hostile clients: memory stays bounded, and all other clients are served."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, Int64Value, UInt64Value

from bench.ttrpc.memory import resident
from bench.ttrpc.peers import python_peer
from tests.helpers.peer import ECHO, LIMIT, SECOND
from tests.helpers.wire import HEADER, OPEN, REQUEST, Wire, data, request
from ttrpc import Code, StatusError
from ttrpc.sync import Client

MIB: Final = 1 << 20
PATIENCE: Final = 10.0


class Victim:
    """Our server in a process of its own."""

    def __init__(self, address: str, process: subprocess.Popen[str]) -> None:
        self.address = address
        self.process = process
        self.serves()
        self.before = resident(process.pid)

    def serves(self) -> None:
        """Check that another client gets an answer."""
        with Wire(self.address) as wire:
            wire.send(request(1, "Echo", BytesValue(value=b"hi")))
            assert wire.receive() is not None

    def has_made_later(self) -> None:
        """Wait until all calls of MakeLater are answered that were sent before."""
        self.serves()  # By now it has received them.
        with Wire(self.address) as wire:
            wire.send(request(1, "MakeLater"))
            assert wire.receive() is not None

    @property
    def grown(self) -> int:
        """Return the growth of resident memory in bytes."""
        return resident(self.process.pid) - self.before

    def stays_below(self, limit: int) -> None:
        """Check for a while that other clients are served and memory is bounded."""
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            self.serves()
            assert self.grown < limit

    def active(self) -> int:
        with Wire(self.address) as wire:
            wire.send(request(1, "Active"))
            frame = wire.receive()
            assert frame is not None
            return Int64Value.FromString(frame.response.payload).value

    def wait_for_active(self, wanted: int) -> None:
        patience = time.monotonic() + PATIENCE
        while self.active() != wanted:
            assert time.monotonic() < patience


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    address = str(tmp_path / "ours.sock")
    with python_peer(address) as process:
        yield Victim(address, process)
        # It fails if a call never ended.
        process.terminate()
        assert process.wait(PATIENCE) == 0


def pour(sock: socket.socket, piece: bytes, most: int) -> int:
    """Send until the peer takes no more, or `most` bytes; return how many."""
    sock.settimeout(0.5)
    sent = 0
    try:
        while sent < most:
            sent += sock.send(piece)
    except TimeoutError:
        pass
    return sent


def test_waiting_calls_cost_little(victim: Victim) -> None:
    """An idle connection, and a call that has no answer yet: below 4 KiB each."""
    hour = UInt64Value(value=3600 * SECOND)
    with ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(Wire(victim.address))
        victim.serves()
        assert victim.grown < 500 * 4096
    victim.before = resident(victim.process.pid)
    with Wire(victim.address) as wire:
        for start in range(1, 20_001, 1000):
            ids = range(start, start + 1000, 2)
            wire.send(*(request(i, "Sleep", hour) for i in ids))
        victim.wait_for_active(10_000)
        assert victim.grown < 10_000 * 4096


def test_headers_that_promise_much(victim: Victim) -> None:
    """A header that announces 4 MiB allocates nothing until bytes arrive."""
    promise = HEADER.pack(LIMIT, 1, REQUEST, 0)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(victim.address)) for _ in range(200)]
        for wire in wires:
            wire.send(promise)
        victim.serves()
        assert victim.grown < 32 * MIB
        for wire in wires:
            wire.send(b"x" * 20_000)
        victim.stays_below(64 * MIB)


def test_a_header_byte_by_byte(victim: Victim) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(victim.address)) for _ in range(300)]
        call = bytes(request(1, "Echo"))
        for at in range(len(call)):
            for wire in wires:
                wire.send(call[at : at + 1])
            if at % 10 == 0:
                victim.serves()
        for wire in wires:
            assert wire.receive() is not None
    assert victim.grown < 32 * MIB


def test_ten_thousand_open_streams(victim: Victim) -> None:
    with Wire(victim.address) as wire:
        for start in range(0, 10_000, 500):
            ids = range(2 * start + 1, 2 * (start + 500) + 1, 2)
            wire.send(*(request(i, "EchoStream", flags=OPEN) for i in ids))
        victim.wait_for_active(10_000)
        assert victim.grown < 10_000 * 10 * 1024
        victim.serves()
        wire.send(data(9_999, BytesValue(value=b"hi")))
        frame = wire.receive()
        assert frame is not None
        assert frame.stream_id == 9_999
    victim.wait_for_active(0)


def test_calls_without_end(victim: Victim) -> None:
    """A call over the limit is refused, and the others go on."""
    hour = UInt64Value(value=3600 * SECOND)
    with Wire(victim.address) as wire:
        for start in range(1, 50_001, 1000):
            ids = range(start, start + 1000, 2)
            wire.send(*(request(i, "Sleep", hour) for i in ids))
        wire.socket.settimeout(PATIENCE)
        refused = wire.receive()
        assert refused is not None
        assert refused.response.status.message == "too many calls in flight"
        victim.serves()
        assert victim.grown < 20_000 * 5 * 1024
    victim.wait_for_active(0)


def test_a_client_that_asks_and_never_reads(victim: Victim) -> None:
    """Reading from it stops above a quarter of the bytes that may wait for it."""
    asks = b"".join(
        bytes(request(i, "Make", UInt64Value(value=MIB))) for i in range(1, 20_001, 2)
    )
    with Wire(victim.address) as wire:
        pour(wire.socket, asks, len(asks))
        victim.stays_below(64 * MIB)


def test_a_client_that_waits_and_never_reads(victim: Victim) -> None:
    """The same with answers that are made later, all at about the same time.

    Handlers that run already cannot be held back: the answers for which there is no
    room are errors, and the rest has come when the client does read.
    """
    asks = [request(i, "MakeLater", UInt64Value(value=MIB)) for i in range(1, 1201, 2)]
    with Wire(victim.address) as wire:
        wire.send(*asks)
        victim.has_made_later()
        victim.stays_below(100 * MIB)
        answers = [wire.receive() for _ in asks]
    refused = [it for it in answers if it is not None and len(it.body) < MIB]
    assert 64 <= len(answers) - len(refused) < 66
    message = "too many answers left unread"
    assert {it.response.status.message for it in refused} == {message}


def test_many_clients_that_wait_and_never_read(victim: Victim) -> None:
    """The limit for all together is less than the sum of their own limits."""
    asks = [request(i, "MakeLater", UInt64Value(value=MIB)) for i in range(1, 151, 2)]
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(Wire(victim.address)).send(*asks)
        victim.stays_below(300 * MIB)


def test_large_requests_without_end(victim: Victim) -> None:
    """Calls that keep 1 MiB each while they run: past the limit they are refused."""
    hour = UInt64Value(value=3600 * SECOND)
    unknown = BytesValue(value=bytes(MIB)).SerializeToString().replace(b"\x0a", b"\x12")
    stuffed = hour.SerializeToString() + unknown
    with Wire(victim.address) as wire:
        wire.send(*(request(i, "Sleep", stuffed) for i in range(1, 201, 2)))
        refused = wire.receive()
        assert refused is not None
        assert refused.response.status.message == "too much in flight"
        wire.send(request(1001, "Echo"))
        while (frame := wire.receive()) is not None and frame.stream_id != 1001:
            pass
        assert frame is not None
        victim.stays_below(100 * MIB)
    victim.wait_for_active(0)


def test_metadata_without_end(victim: Victim) -> None:
    """Metadata is kept as long as the call runs, so it counts."""
    hour = UInt64Value(value=3600 * SECOND)
    pairs = [("key", "x" * MIB)]
    with Wire(victim.address) as wire:
        for stream_id in range(1, 401, 4):
            wire.send(request(stream_id, "Sleep", hour, metadata=pairs))
            stream = request(stream_id + 2, "Ignore", flags=OPEN, metadata=pairs)
            wire.send(stream)
        refused = wire.receive()
        assert refused is not None
        assert refused.response.status.message == "too much in flight"
        victim.stays_below(100 * MIB)


def test_streams_that_are_not_read(victim: Victim) -> None:
    """Each is within its own limit, but all together are not."""
    piece = BytesValue(value=bytes(MIB))
    with Wire(victim.address) as wire:
        for stream_id in range(1, 401, 2):
            wire.send(request(stream_id, "Ignore", flags=OPEN), data(stream_id, piece))
        wire.send(request(1001, "Echo"))
        while (frame := wire.receive()) is not None and frame.stream_id != 1001:
            # The stream is full, or there is no room for the message on its way.
            assert frame.response.status.message in (
                "data handling error: ttrpc: stream buffer full",
                "too much in flight",
            )
        assert frame is not None
        victim.stays_below(100 * MIB)
    victim.wait_for_active(0)


def test_a_stream_that_is_fed_and_never_read(victim: Victim) -> None:
    """An echo that cannot send its answers stops reading."""
    piece = bytes(data(1, BytesValue(value=bytes(MIB))))
    with Wire(victim.address) as wire:
        wire.send(request(1, "EchoStream", flags=OPEN))
        pour(wire.socket, piece, 200 * MIB)
        victim.stays_below(64 * MIB)


def test_a_download_that_is_never_read(victim: Victim) -> None:
    with ExitStack() as stack:
        for _ in range(8):
            wire = stack.enter_context(Wire(victim.address))
            message = UInt64Value(value=1_000_000 << 32 | 100_000)
            wire.send(request(1, "Download", message, flags=1))
        victim.stays_below(8 * 24 * MIB)


def test_random_bytes(victim: Victim) -> None:
    """A generator with a fixed seed, many connections."""
    noise = random.Random(1)
    for _ in range(200):
        with Wire(victim.address) as wire:
            wire.socket.settimeout(PATIENCE)
            wire.send(noise.randbytes(noise.randrange(2000)))
    victim.serves()
    victim.wait_for_active(0)
    assert victim.grown < 32 * MIB


def test_connections_without_end(victim: Victim) -> None:
    """More connections than file descriptors: the server waits, then goes on."""
    subprocess.run(
        ["prlimit", f"--pid={victim.process.pid}", "--nofile=100:100"], check=True
    )
    address = victim.address
    sockets = []
    try:
        for _ in range(300):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE)
            sock.connect(address)
            sockets.append(sock)
        with Wire(address) as patient:
            patient.send(request(1, "Echo"))
            for sock in sockets:
                sock.close()
            assert patient.receive() is not None
    finally:
        for sock in sockets:
            sock.close()
    victim.serves()


def test_five_clients_that_wait_leave_room_for_others(tmp_path: Path) -> None:
    """Each takes as many calls as it can get; a sixth is served all the same."""
    address = str(tmp_path / "ours.sock")
    hour = UInt64Value(value=3600 * SECOND)
    with python_peer(address, "--calls", "200") as process, ExitStack() as stack:
        victim = Victim(address, process)
        for _ in range(5):
            hog = stack.enter_context(Wire(address))
            hog.send(*(request(i, "Sleep", hour) for i in range(1, 801, 2)))
            refused = hog.receive()
            assert refused is not None
            assert refused.response.status.message == "too many calls in flight"
        late = stack.enter_context(Wire(address))
        late.send(request(1, "Sleep", UInt64Value(value=1)))
        frame = late.receive()
        assert frame is not None
        assert frame.response.status.code == 0
        victim.serves()


def test_frames_that_are_never_whole(victim: Victim) -> None:
    """Sixty connections held 244 MiB that no limit counted."""
    part = HEADER.pack(LIMIT, 1, REQUEST, 0) + bytes(LIMIT - 1)
    with ExitStack() as stack:
        for _ in range(100):
            wire = stack.enter_context(Wire(victim.address))
            wire.send(part)
        victim.stays_below(300 * MIB)
        # A call of the usual size has room at once, a large one when a frame gives way.
        with Client.connect(f"unix://{victim.address}") as other:
            usual = BytesValue(value=bytes(50_000))
            assert other.call(ECHO["Echo"], usual, timeout=PATIENCE) == usual
            large = BytesValue(value=bytes(LIMIT - 100))
            patience = time.monotonic() + PATIENCE
            while not is_answered(other, large):
                assert time.monotonic() < patience
        victim.stays_below(300 * MIB)


def is_answered(client: Client, value: BytesValue) -> bool:
    try:
        return client.call(ECHO["Echo"], value, timeout=PATIENCE) == value
    except StatusError as error:
        if error.code != Code.RESOURCE_EXHAUSTED:
            raise
        return False


def test_more_connections_than_the_limit(tmp_path: Path) -> None:
    address = str(tmp_path / "ours.sock")
    with python_peer(address, "--connections", "10"), ExitStack() as stack:
        wires = [stack.enter_context(Wire(address)) for _ in range(10)]
        for wire in wires:
            wire.send(request(1, "Echo"))
            assert wire.receive() is not None
        with Wire(address) as one_more:
            assert one_more.receive() is None
        # A place is free when the server has noticed the end.
        wires[0].socket.close()
        answer, patience = None, time.monotonic() + PATIENCE
        while answer is None:
            assert time.monotonic() < patience
            with Wire(address) as next_one:
                next_one.send(request(1, "Echo"))
                answer = next_one.receive()
