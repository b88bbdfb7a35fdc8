# SPDX-License-Identifier: Apache-2.0
"""The host's connections are accepted, and no others."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kata_agent.ports.host_listener import HostListener, is_host


@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ((2, 1024), True),
        ((0, 1024), False),
        ((1, 1024), False),
        ((3, 2), False),
        ((0xFFFFFFFF, 1024), False),
        ((2, 1024, 0), False),
        ((2,), False),
        ("2", False),
        ("", False),
        (b"", False),
        (None, False),
        (2, False),
    ],
)
def test_the_host_is_context_id_2(address: object, accepted: bool) -> None:
    assert is_host(address) is accepted


def test_a_peer_without_a_context_id_is_closed_and_none_has_come(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = socket.socket(socket.AF_UNIX)
    plain.bind(str(tmp_path / "s"))
    plain.listen()
    with HostListener.of(plain) as listener:
        assert plain.fileno() == -1
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "s"))
                with pytest.raises(BlockingIOError):
                    listener.accept()
                assert client.recv(1) == b""
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert caplog.messages == ["connection is not the host's"]
