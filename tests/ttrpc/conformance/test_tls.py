# SPDX-License-Identifier: Apache-2.0
"""TLS by asyncio's streams: certificates on both sides, and ends without a goodbye."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, LIMIT, SECOND, echo
from tests.helpers.wire import OPEN, Frame, request
from ttrpc import Closed, Peer
from ttrpc.aio import Client, Server, StreamPair
from ttrpc.aio.served_connection import ServedConnection

PATIENCE: Final = 30.0
OPENSSL: Final = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2"
    " -subj /CN={0} -addext subjectAltName=DNS:{0}"
    " -addext keyUsage=critical,digitalSignature,keyCertSign"
    " -keyout {0}.key -out {0}.pem"
)
HOUR: Final = UInt64Value(value=3600 * SECOND)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a key and a certificate for each name, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("server", "client", "stranger"):
        command = OPENSSL.format(name).split()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def context(certificates: Path, own: str, other: str) -> ssl.SSLContext:
    """A context that shows `own`, where it has a name, and trusts `other`."""
    purpose = ssl.Purpose.SERVER_AUTH
    if own == "server":
        purpose = ssl.Purpose.CLIENT_AUTH
    made = ssl.create_default_context(purpose, cafile=certificates / f"{other}.pem")
    if own:
        made.load_cert_chain(certificates / f"{own}.pem", certificates / f"{own}.key")
    made.verify_mode = ssl.CERT_REQUIRED
    # As Python 3.13 has it by itself.
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    return made


class Listening:
    """Our server behind TLS, which admits those of one name."""

    def __init__(self, certificates: Path) -> None:
        self._certificates = certificates
        self.allowed = "client"
        self.server = Server(
            services(), authorize=lambda peer: peer.address == self.allowed
        )
        self.served: asyncio.Queue[ServedConnection] = asyncio.Queue()
        self.port = 0

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ((_, name),) = writer.get_extra_info("peercert")["subjectAltName"]
        self.served.put_nowait(
            self.server.serve_connection(StreamPair(reader, writer), peer=Peer(name))
        )

    async def connect(
        self, own: str = "client", trusted: str = "server", name: str = "server"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=context(self._certificates, own, trusted),
            server_hostname=name,
        )


@contextlib.asynccontextmanager
async def listening(certificates: Path) -> AsyncIterator[Listening]:
    it = Listening(certificates)
    listener = await asyncio.start_server(
        it.serve, "127.0.0.1", 0, ssl=context(certificates, "server", "client")
    )
    it.port = listener.sockets[0].getsockname()[1]
    async with asyncio.timeout(PATIENCE), it.server:
        yield it
        listener.close()


async def test_calls_of_every_kind(certificates: Path) -> None:
    async with listening(certificates) as it:
        async with Client(StreamPair(*await it.connect())) as client:
            for size in (0, 1, 70_000, LIMIT - 100):
                assert len(await echo(client, bytes(size))) == size
            many = [echo(client, bytes(300_000)) for _ in range(8)]
            assert {len(value) for value in await asyncio.gather(*many)} == {300_000}
            async with client.open_stream(ECHO["EchoStream"]) as stream:
                await stream.send(BytesValue(value=b"hi"))
                assert await anext(stream) == BytesValue(value=b"hi")
        served = await it.served.get()
        assert str(await served.wait_closed()) == "connection: closed by the peer"


@pytest.mark.parametrize(
    ("trusted", "name"), [("stranger", "server"), ("server", "another")]
)
async def test_a_server_of_another_name_is_not_called(
    certificates: Path, trusted: str, name: str
) -> None:
    async with listening(certificates) as it:
        with pytest.raises(ssl.SSLCertVerificationError):
            await it.connect(trusted=trusted, name=name)
        async with Client(StreamPair(*await it.connect())) as client:
            assert await echo(client, b"hi") == b"hi"
        assert it.server.counters.connections == 1


@pytest.mark.parametrize("own", ["", "stranger"])
async def test_a_client_without_a_certificate_is_not_served(
    certificates: Path, own: str
) -> None:
    """In TLS 1.3 the client is told after its own side of the handshake."""
    async with listening(certificates) as it:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with Client(StreamPair(*await it.connect(own))) as client:
                await echo(client, b"hi")
        counters = it.server.counters
        assert (counters.connections, counters.connections_refused) == (0, 0)


async def test_the_certificates_name_is_authorized(certificates: Path) -> None:
    """Who has a certificate that is known may still not connect."""
    async with listening(certificates) as it:
        it.allowed = "another"
        async with Client(StreamPair(*await it.connect())) as client:
            with pytest.raises(Closed):
                await echo(client, b"hi")
        served = await it.served.get()
        assert served.peer == Peer("client")
        assert str(served.closed) == "connection: not authorized"


@pytest.mark.parametrize("more", [b"", bytes(Frame(9, 1, 0, bytes(100_000)))[:50_000]])
async def test_a_client_that_goes_without_a_goodbye_leaves_nothing(
    certificates: Path, more: bytes
) -> None:
    """As a machine does that dies; also within a frame."""
    async with listening(certificates) as it:
        _, writer = await it.connect()
        calls = (request(1, "Sleep", HOUR), request(3, "Ignore", flags=OPEN))
        writer.write(b"".join(map(bytes, calls)) + more)
        served = await it.served.get()
        while served.calls_in_flight < len(calls):
            await asyncio.sleep(0)
        writer.transport.abort()
        assert isinstance(await served.wait_closed(), Closed)
        assert it.server.calls_in_flight == it.server.connections == 0
        ended = it.server.counters.calls_ended
        assert sum(ended.values()) == len(calls)


async def test_a_server_that_goes_without_a_goodbye_ends_the_calls(
    certificates: Path,
) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def abort(reader: Any, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readexactly(10)
        writer.transport.abort()

    listener = await asyncio.start_server(
        abort, "127.0.0.1", 0, ssl=context(certificates, "server", "client")
    )
    it = Listening(certificates)
    it.port = listener.sockets[0].getsockname()[1]
    async with asyncio.timeout(PATIENCE):
        async with Client(StreamPair(*await it.connect())) as client:
            with pytest.raises(Closed):
                await client.call(ECHO["Sleep"], HOUR)
            with pytest.raises(Closed):
                await client.open_stream(ECHO["EchoStream"])
    listener.close()


async def test_bytes_that_are_no_tls_are_never_served(certificates: Path) -> None:
    async with listening(certificates) as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
        writer.write(bytes(request(1, "Echo")) * 50)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        async with Client(StreamPair(*await it.connect())) as client:
            assert await echo(client, b"hi") == b"hi"
        assert it.server.counters.connections == 1
