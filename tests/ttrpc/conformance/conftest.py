# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bench.ttrpc.service import services
from tests.helpers.interop import go_programs
from ttrpc.aio import Client, Server

__all__ = ["address", "client", "go_programs", "server"]


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix://{tmp_path}/ours.sock"


@pytest_asyncio.fixture
async def server(address: str) -> AsyncIterator[Server]:
    """Our server of `peer.v1`, in this process."""
    server = Server(services())
    await server.listen(address)
    yield server
    server.close()
    async with asyncio.timeout(10):
        await server.wait_closed()


@pytest_asyncio.fixture
async def client(server: Server, address: str) -> AsyncIterator[Client]:
    """Our client, connected to `server`."""
    async with await Client.connect(address) as client:
        yield client
