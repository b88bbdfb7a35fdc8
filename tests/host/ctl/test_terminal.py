# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator

import pytest

from kata_host.ctl.terminal import raw, size


@pytest.fixture
def terminal() -> Iterator[int]:
    user, program = pty.openpty()
    yield program
    os.close(user)
    os.close(program)


def test_rows_come_before_columns(terminal: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    assert size(terminal) == (30, 100)


def test_every_key_is_passed_on_until_the_end_of_the_block(terminal: int) -> None:
    before = termios.tcgetattr(terminal)
    with raw(terminal):
        local_modes = termios.tcgetattr(terminal)[3]
        assert not local_modes & (termios.ISIG | termios.ICANON | termios.ECHO)
    assert termios.tcgetattr(terminal) == before
    with pytest.raises(KeyError), raw(terminal):
        raise KeyError
    assert termios.tcgetattr(terminal) == before


def test_a_terminal_that_hangs_up_has_no_size_and_takes_no_modes() -> None:
    user, program = pty.openpty()
    with raw(program):
        os.close(user)
    assert size(program) is None
    os.close(program)
