# SPDX-License-Identifier: Apache-2.0
"""Terminals, tried on pairs that the test opens."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from kata_agent.linux.terminal import (
    pass_input_raw,
    set_terminal_owner,
    set_window_size,
)

LEADER = """
import os, sys
from kata_agent.linux.terminal import take_controlling_terminal
os.setsid()
take_controlling_terminal(0)
print(os.ttyname(os.open("/dev/tty", os.O_RDWR)), os.tcgetpgrp(0) == os.getpid())
"""


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Master and slave."""
    pair = os.openpty()
    yield pair
    for descriptor in pair:
        os.close(descriptor)


def test_the_owner_of_a_terminal_is_set_by_its_master(
    terminal: tuple[int, int],
) -> None:
    master, slave = terminal
    group = os.fstat(slave).st_gid
    set_terminal_owner(master, 1000)
    assert (os.fstat(slave).st_uid, os.fstat(slave).st_gid) == (1000, group)


def test_the_size_is_rows_then_columns(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    set_window_size(master, 24, 80)
    size = fcntl.ioctl(slave, termios.TIOCGWINSZ, bytes(8))
    assert struct.unpack("HHHH", size)[:2] == (24, 80)


def test_typed_bytes_pass_unchanged_and_unechoed(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    pass_input_raw(slave)
    os.write(master, b"\x03\r\x11x")
    assert os.read(slave, 100) == b"\x03\r\x11x"
    # An echo would come before this line, whose end is still made a terminal's.
    os.write(slave, b"line\n")
    assert os.read(master, 100) == b"line\r\n"


def test_a_session_takes_its_terminal(terminal: tuple[int, int]) -> None:
    _, slave = terminal
    told = subprocess.run(
        [sys.executable, "-c", LEADER],
        stdin=slave,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "/dev/tty True\n"
