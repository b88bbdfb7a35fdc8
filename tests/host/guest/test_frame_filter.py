# SPDX-License-Identifier: Apache-2.0
"""The program, run as the kernel does; slirp4netns in `tests/e2e/test_network.py`."""

from __future__ import annotations

import os
import socket

import pytest

from kata_agent.linux.beneath import opened
from kata_host.guest.frame_filter import (
    JUMP_IF_EQUAL,
    LOAD_BYTE,
    LOAD_HALF,
    PROGRAM,
    filter_frames,
)

HEADER = bytes(12)
IP = HEADER + b"\x08\0"


def passes(frame: bytes) -> bool:
    """Run the program on a frame (Documentation/networking/filter.rst)."""
    place, loaded = 0, 0
    while True:
        code, if_equal, if_not, value = PROGRAM[place]
        place += 1
        if code in (LOAD_HALF, LOAD_BYTE):
            size = 2 if code == LOAD_HALF else 1
            if len(frame) < value + size:
                return False
            loaded = int.from_bytes(frame[value : value + size], "big")
        elif code == JUMP_IF_EQUAL:
            place += if_equal if loaded == value else if_not
        else:
            return value > 0


def packet(destination: str) -> bytes:
    return IP + bytes(16) + socket.inet_aton(destination) + bytes(20)


@pytest.mark.parametrize(
    "address", ["10.0.2.3", "198.51.100.1", "126.0.0.1", "128.0.0.1", "255.255.255.255"]
)
def test_other_networks_pass(address: str) -> None:
    assert passes(packet(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.0.9", "0.0.0.0", "0.1.2.3"])
def test_the_loopback_does_not(address: str) -> None:
    assert not passes(packet(address))


def test_arp_passes() -> None:
    assert passes(HEADER + b"\x08\x06" + bytes(28))


@pytest.mark.parametrize(
    "frame",
    [
        HEADER + b"\x86\xdd" + bytes(40),
        HEADER + b"\x81\0\0\1\x08\0" + packet("127.0.0.1")[14:],
        packet("10.0.2.3")[:30],
        HEADER,
    ],
    ids=["IPv6", "VLAN", "cut before the destination", "cut before the type"],
)
def test_nothing_else_passes(frame: bytes) -> None:
    assert not passes(frame)


def test_a_process_without_a_tap_device_is_an_error() -> None:
    pid = os.getpid()
    with opened(os.pidfd_open(pid)) as pidfd:
        with pytest.raises(FileNotFoundError, match=f"process {pid}: no tap device"):
            filter_frames(pid, pidfd)
