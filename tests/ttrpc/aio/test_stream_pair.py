# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import sys

from bench.ttrpc.service import services
from tests.helpers.peer import LIMIT, echo
from tests.helpers.source_tree import ROOT
from ttrpc.aio import Client, Server, StreamPair

PATIENCE = 60.0
SERVER = """
import asyncio
from bench.ttrpc.service import services
from ttrpc.aio import Pipes, Server

async def main():
    async with Server(services()) as server:
        print(await server.serve_connection(Pipes(0, 1)).wait_closed(), file=sys.stderr)

import sys
asyncio.run(main())
"""


async def test_a_client_of_a_program_that_serves_on_its_standard_streams() -> None:
    """As `ssh host program` does; the program ends with its input."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        async with Client(StreamPair(process.stdout, process.stdin)) as client:
            for value in (b"", b"hi", bytes(LIMIT - 100)):
                assert await echo(client, value) == value
        assert await process.stderr.read() == b"connection: closed by the peer\n"
        assert await process.wait() == 0


async def test_a_server_on_a_listener_of_asyncio(tmp_path: object) -> None:
    """With TLS, for example, which asyncio's streams have."""
    async with Server(services()) as server:

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            connection = server.serve_connection(StreamPair(reader, writer))
            await connection.wait_closed()

        path = f"{tmp_path}/a.sock"
        async with await asyncio.start_unix_server(serve, path):
            streams = await asyncio.open_unix_connection(path)
            async with (
                asyncio.timeout(PATIENCE),
                Client(StreamPair(*streams)) as client,
            ):
                value = bytes(2 << 20)
                answers = await asyncio.gather(*(echo(client, value) for _ in range(4)))
                assert answers == [value] * 4
