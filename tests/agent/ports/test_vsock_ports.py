# SPDX-License-Identifier: Apache-2.0
"""Ports of AF_VSOCK; connections are tested in a VM (tests/vm)."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from kata_agent.ports.vsock_ports import VsockPorts

PORT = 40_000 + os.getpid() % 20_000


def listen() -> socket.socket:
    try:
        return VsockPorts().listen(PORT)
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.ENODEV, errno.EADDRNOTAVAIL):
            pytest.skip(f"no AF_VSOCK here: {error}")
        raise


def test_a_listener_is_on_every_cid_and_does_not_block() -> None:
    with listen() as listener:
        assert listener.getsockname()[1] == PORT
        assert not listener.getblocking()
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_port_that_is_taken() -> None:
    with listen(), pytest.raises(OSError, match="in use"):
        VsockPorts().listen(PORT)
