# SPDX-License-Identifier: Apache-2.0
"""Our blocking client on the Go library's server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import (
    BytesValue,
    Int32Value,
    StringValue,
    UInt64Value,
)

from bench.ttrpc.peer_pb2 import Item, Part, Total
from tests.helpers.interop import go_peer
from tests.helpers.peer import ECHO, ITEMS, LIMIT, SECOND
from ttrpc import Closed, Code, OversizedMessage, StatusError
from ttrpc.sync import Client

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


@pytest.fixture
def client(go_programs: Path, tmp_path: Path) -> Iterator[Client]:
    path = str(tmp_path / "go.sock")
    with go_peer(go_programs, path), Client.connect(f"unix://{path}") as client:
        yield client


def echo(client: Client, text: bytes) -> bytes:
    answer: BytesValue = client.call(ECHO["Echo"], BytesValue(value=text))
    return answer.value


@pytest.mark.parametrize("size", [0, 1, 4096, 1 << 20, LIMIT - 64])
def test_sizes(client: Client, size: int) -> None:
    assert echo(client, b"x" * size) == b"x" * size


def test_an_error_and_its_details(client: Client) -> None:
    with pytest.raises(StatusError) as caught:
        client.call(ECHO["FailDetails"], Int32Value(value=5))
    assert caught.value.code is Code.NOT_FOUND
    assert len(caught.value.details) == 1
    assert echo(client, b"still") == b"still"


def test_metadata(client: Client) -> None:
    pairs = [("Key", "1"), ("key", "2")]
    answer = client.call(ECHO["Metadata"], StringValue(value="key"), metadata=pairs)
    assert answer.value == "1,2"


def test_deadline(client: Client) -> None:
    with pytest.raises(StatusError) as caught:
        client.call(ECHO["Stubborn"], UInt64Value(value=SECOND // 5), timeout=0.05)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert echo(client, b"still") == b"still"


def test_a_request_over_the_limit(client: Client) -> None:
    with pytest.raises(OversizedMessage):
        echo(client, bytes(LIMIT))
    assert echo(client, b"still") == b"still"


def test_a_lost_connection(client: Client) -> None:
    with pytest.raises(Closed):
        client.call(ECHO["Make"], UInt64Value(value=LIMIT + 1))
    with pytest.raises(Closed):
        echo(client, b"after")


def test_bidi_beside_unary(client: Client) -> None:
    with client.open_stream(ITEMS["EchoStream"]) as stream:
        for seq in range(20):
            stream.send(Item(seq=seq))
            assert stream.recv() == Item(seq=seq + 1)
            assert echo(client, b"beside") == b"beside"
        stream.close_send()
        assert stream.recv() is None


def test_client_stream(client: Client) -> None:
    with client.open_stream(ITEMS["Sum"]) as stream:
        for add in range(100):
            stream.send(Part(add=add))
        assert stream.response() == Total(sum=4950, num=100)


def test_server_stream(client: Client) -> None:
    with client.open_stream(ITEMS["EmptyPayload"], Empty()) as stream:
        assert [item.seq for item in stream] == [1, 2]


def test_a_stream_s_error(client: Client) -> None:
    with client.open_stream(ECHO["FailStream"], UInt64Value(value=1)) as stream:
        assert stream.recv() == StringValue(value="0")
        with pytest.raises(StatusError) as caught:
            stream.recv()
    assert (caught.value.code, caught.value.message) == (Code.ABORTED, "enough")
