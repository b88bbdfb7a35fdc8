# SPDX-License-Identifier: Apache-2.0
"""The errors of QEMU and of the agent; tests/vm/test_snapshot.py restores guests."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kata_host.guest.guest import GuestError
from kata_host.guest.qmp import QmpError
from kata_host.guest.vm_command import Sockets
from kata_host.guest.vm_snapshot import ENTROPY, renew, resume, save
from kata_protos.agent_ttrpc import AGENT_SERVICE
from tests.helpers.paused_qemu import paused_qemu
from ttrpc.aio import Server
from ttrpc.bound_service import bind
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[Sockets]:
    with paused_qemu(tmp_path / "vm") as monitor:
        yield Sockets(monitor.parent)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "state", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def test_a_guest_without_its_vsock_device_is_not_saved(
    sockets: Sockets, file: int
) -> None:
    with pytest.raises(QmpError, match="device_del: Device 'vsock' not found"):
        save(sockets, file)
    assert os.fstat(file).st_size == 0


def test_a_guest_that_waits_for_no_state_is_left_alone(
    sockets: Sockets, file: int
) -> None:
    with pytest.raises(QmpError, match="migrate-incoming: "):
        resume(sockets, file)


class Agent:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.refuses = False

    async def keep(self, request: Any, context: CallContext) -> Any:
        self.requests.append(request)
        if self.refuses:
            raise StatusError(Code.INTERNAL, "refused")
        return context.method.response_type()

    reseed_random_dev = keep
    set_guest_date_time = keep


async def test_a_guest_gets_entropy_of_its_own_and_then_the_time(
    tmp_path: Path,
) -> None:
    agent = Agent()
    server = Server([bind(AGENT_SERVICE, agent)])
    address = f"unix://{tmp_path}/agent.sock"
    await server.listen(address)
    before = time.time()
    for _ in range(2):
        await asyncio.to_thread(renew, address)
    first, clock, second, _ = agent.requests
    assert len(first.data) == len(second.data) == ENTROPY
    assert first.data != second.data
    assert before <= clock.Sec + clock.Usec / 1e6 + 1e-6 <= time.time() + 1e-6
    agent.refuses = True
    with pytest.raises(GuestError, match="refused"):
        await asyncio.to_thread(renew, address)
    await server.shutdown(1)
