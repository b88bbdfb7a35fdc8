# SPDX-License-Identifier: Apache-2.0
"""Bursts, half-closed connections, VMs and backends that die give errors, not hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.guest.guest import GuestError
from kata_host.guest.image.store import Image
from kata_host.guest.vm_command import QEMU, Machine
from kata_host.guest.vm_guest import VmGuest
from kata_protos import health_pb2
from tests.helpers import vm
from tests.helpers.wire import HEADER, request
from ttrpc import envelope_pb2
from ttrpc.errors import Closed

pytestmark = [pytest.mark.vm, pytest.mark.slow]

BURST = 100


@pytest.fixture(scope="module")
def booting(
    image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VmGuest]:
    """A guest that still boots during the first test, and that the last test kills."""
    guest = vm.agent_guest(image, tmp_path_factory.mktemp("failures"))
    try:
        guest.launch()
        yield guest
    finally:
        guest.stop()


async def test_a_burst_of_connections_while_booting(booting: VmGuest) -> None:
    async def ask() -> None:
        async with AgentClient.connect(booting.address, timeout=100) as client:
            await client.check(100)

    await asyncio.gather(*(ask() for _ in range(BURST)))


def test_a_client_that_ended_its_half_still_gets_responses(booting: VmGuest) -> None:
    booting.wait_until_ready()
    with vm.connect(booting.socket, vm.AGENT) as connection:
        asked = [
            request(number, "Check", service="grpc.Health") for number in (1, 3, 5)
        ]
        connection.sendall(b"".join(map(bytes, asked)))
        connection.shutdown(socket.SHUT_WR)
        answered = b""
        while data := connection.recv(65536):
            answered += data
    streams = []
    while answered:
        length, stream, _, _ = HEADER.unpack_from(answered)
        response = envelope_pb2.Response()
        response.ParseFromString(answered[HEADER.size : HEADER.size + length])
        health = health_pb2.HealthCheckResponse.FromString(response.payload)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        streams.append(stream)
        answered = answered[HEADER.size + length :]
    assert sorted(streams) == [1, 3, 5]


async def fails_in_the_middle(guest: VmGuest, victim: int) -> None:
    """Kill a process of the guest while calls wait; every call ends with an error."""
    async with AgentClient.connect(guest.address) as client:
        await client.create_sandbox("failures")
        storage, root = writable_layer("waits", "/")
        spec = default_spec("waits", default_process(["sleep", "1000"]), rootfs=root)
        container = await client.create_container("waits", spec, [storage])
        await container.start()
        waiting = [
            asyncio.create_task(container.init.wait()),
            asyncio.create_task(anext(container.init.read_stdout())),
        ]
        await client.check()
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(30):
            for outcome in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(outcome, Closed)
            with pytest.raises(Closed):
                await client.check()


async def test_a_vm_that_is_killed_in_the_middle_of_a_call(booting: VmGuest) -> None:
    await fails_in_the_middle(booting, vm.process_of(booting, QEMU))
    assert booting.ending(10) == "qemu was killed by signal 9"
    with pytest.raises(Closed, match=str(booting.socket)) as raised:
        await AgentClient.connect(booting.address, timeout=0.1)
    assert len(str(raised.value).splitlines()) == 1


async def test_a_backend_that_is_killed_in_the_middle_of_a_call(
    image: Image, tmp_path: Path
) -> None:
    with vm.agent_guest(image, tmp_path) as guest:
        await fails_in_the_middle(guest, vm.process_of(guest, "kata_host.guest.vsock"))
        assert guest.ending(10) == "vsock was killed by signal 9"


def test_a_command_whose_vm_is_killed_says_so_in_one_line(
    image: Image, tmp_path: Path
) -> None:
    """The command is `kata-agent-ctl run --vm`."""
    command = [sys.executable, "-m", "kata_host.ctl", "run", "--vm", "--"]
    with subprocess.Popen(
        [*command, "sh", "-c", "echo runs; sleep 1000"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "runs\n"
        (qemu,) = _children(process.pid, "qemu-system-x86")
        os.kill(qemu, signal.SIGKILL)
        said = process.stderr.read()
        assert process.wait(30) == 125
    (line,) = said.splitlines()
    assert line.startswith("kata-agent-ctl: guest ended: qemu was killed by signal 9")
    assert not list(tmp_path.iterdir())


def _children(parent: int, name: str) -> list[int]:
    listed = subprocess.run(
        ["pgrep", "-P", str(parent), name], stdout=subprocess.PIPE, text=True
    )
    return [int(word) for word in listed.stdout.split()]


def test_a_guest_that_does_not_come_up_in_time(image: Image, tmp_path: Path) -> None:
    guest = vm.agent_guest(image, tmp_path)
    guest.launch()
    with pytest.raises(GuestError, match=r"no agent on port 1024 after 0\.1 s"):
        guest.wait_until_ready(0.1)
    assert not guest.directory.exists()


def test_a_guest_without_an_init_shows_the_end_of_its_console(
    image: Image, tmp_path: Path
) -> None:
    guest = vm.agent_guest(image, tmp_path, "guest_init=/no/such/program")
    with pytest.raises(GuestError) as raised:
        guest.start()
    assert "qemu ended with status 0 while booting" in str(raised.value)
    # The initrd and the kernel write at the same time; only this line is never torn.
    assert str(raised.value).splitlines()[-1].endswith("exitcode=0x00000100")


def test_an_argument_that_qemu_refuses_is_in_the_error(
    image: Image, tmp_path: Path
) -> None:
    machine = Machine(devices=["-device", "no-such-device"])
    guest = VmGuest(image, tmp_path / "vm", machine=machine)
    with pytest.raises(GuestError, match="no-such-device"):
        guest.start()
