# SPDX-License-Identifier: Apache-2.0
"""tests/host/forwarding/test_local_port.py has the port that is taken."""

from __future__ import annotations

import socket

import pytest

from kata_host.forwarding.listener import listen, place_of
from kata_host.forwarding.published_port import PublishedPort


@pytest.mark.parametrize(
    ("address", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")]
)
def test_the_place_of_a_free_port(address: str, shown: str) -> None:
    with listen(PublishedPort(80, 0, address)) as listener:
        port = listener.getsockname()[1]
        assert place_of(listener) == f"{shown}:{port}"
        with socket.create_connection((address, port)):
            accepted, _ = listener.accept()
            accepted.close()
        with pytest.raises(BlockingIOError):
            listener.accept()
