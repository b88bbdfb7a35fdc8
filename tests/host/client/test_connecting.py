# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.client.connecting import Connecting


class Client:
    is_closed = False

    async def close(self) -> None:
        self.is_closed = True


async def connect() -> Client:
    return Client()


async def test_a_block_closes_the_client_and_await_does_not() -> None:
    client = await Connecting(connect())
    assert not client.is_closed
    async with Connecting(connect()) as client:
        assert not client.is_closed
    assert client.is_closed


async def test_a_block_that_fails_closes_the_client_too() -> None:
    with pytest.raises(KeyError):
        async with Connecting(connect()) as client:
            raise KeyError
    assert client.is_closed


async def test_a_connection_that_fails_raises_its_error() -> None:
    async def fail() -> Client:
        raise OSError("nobody")

    with pytest.raises(OSError, match="nobody"):
        async with Connecting(fail()):
            pytest.fail("not connected")
