# SPDX-License-Identifier: Apache-2.0
"""tests/e2e/test_forward.py has the connections."""

from __future__ import annotations

import socket

import pytest

from kata_host.ctl.errors import CommandError
from kata_host.ctl.published_ports import PublishedPorts
from kata_host.forwarding.published_port import PublishedPort


def test_all_ports_or_none() -> None:
    free = PublishedPort("/run/s")
    with PublishedPorts([free]) as first:
        ((place, target),) = first.places
        assert target == "/run/s"
        assert first.words == [f"{place}:/run/s"]
        taken = PublishedPort.parse(first.words[0])
        with pytest.raises(CommandError, match=f"port {taken.port} of 127.0.0.1: Addr"):
            PublishedPorts([free, taken]).__enter__()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((taken.address, taken.port))


async def test_a_guest_that_forwards_nothing() -> None:
    await PublishedPorts([]).check("unix:///none")
    with pytest.raises(CommandError, match="unix:///none"):
        await PublishedPorts([PublishedPort(80)]).check("unix:///none")
