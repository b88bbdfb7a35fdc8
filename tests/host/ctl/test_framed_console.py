# SPDX-License-Identifier: Apache-2.0
"""The shell port as the host sees it; the guest's end is the agent's own where it is
not hostile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from kata_agent.console.framed_wire import FramedWire
from kata_host.ctl.errors import CommandError
from kata_host.ctl.framed_console import FramedConsole

PATIENCE = 20.0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, guest = socket.socketpair()
    for end in (ours, guest):
        end.setblocking(False)
    yield ours, guest
    ours.close()
    guest.close()


async def test_the_agent_reads_keys_and_sizes(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, guest = pair
    console = FramedConsole(ours)
    await console.resize(30, 100)
    await console.send(b"ls\n")
    wire = FramedWire()
    assert wire.received(guest.recv(4096)) == b"ls\n"
    assert wire.size == (30, 100)


async def test_frames_of_two_tasks_do_not_mix(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, guest = pair
    console = FramedConsole(ours)
    # More than the connection holds, so that the second task begins meanwhile.
    text = b"x" * 65536
    sending = asyncio.gather(
        *(console.send(text) for _ in range(20)), console.resize(1, 2)
    )
    wire, keys = FramedWire(), 0
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while not (keys == 20 * len(text) and wire.size == (1, 2)):
            keys += len(wire.received(await loop.sock_recv(guest, 65536)))
        await sending


async def test_output_and_status_are_read_in_any_pieces(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, guest = pair
    wire = FramedWire()
    sent = wire.output(b"hello ") + wire.output(b"world\n") + wire.ended(7)

    async def send() -> None:
        for i in range(len(sent)):
            guest.send(sent[i : i + 1])
            await asyncio.sleep(0)

    console = FramedConsole(ours)
    sending = asyncio.create_task(send())
    async with asyncio.timeout(PATIENCE):
        assert [part async for part in console.output()] == [b"hello ", b"world\n"]
        await sending
    assert console.status() == 7


@pytest.mark.parametrize("cut", [0, 3, 8])
async def test_a_connection_that_ends_without_a_status_was_lost(
    pair: tuple[socket.socket, socket.socket], cut: int
) -> None:
    ours, guest = pair
    guest.send(FramedWire().output(b"hello")[:cut])
    guest.close()
    console = FramedConsole(ours)
    assert [part async for part in console.output()] == []
    with pytest.raises(CommandError, match="shell: the guest has closed"):
        console.status()


@pytest.mark.parametrize(
    "frame",
    [b"\1" + b"\0\1\0\1", b"\1" + b"\xff" * 4, b"\3" + b"\0\0\0\0", b"\0" + b"\0" * 4],
)
async def test_a_hostile_guest_is_refused(
    pair: tuple[socket.socket, socket.socket], frame: bytes
) -> None:
    ours, guest = pair
    guest.send(frame)
    with pytest.raises(CommandError, match=r"shell: frame of kind \d with \d+ bytes"):
        [part async for part in FramedConsole(ours).output()]


async def test_a_status_is_one_that_a_program_can_return(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, guest = pair
    guest.send(FramedWire().ended(0xFFFF_FF07))
    console = FramedConsole(ours)
    assert [part async for part in console.output()] == []
    assert console.status() == 7
