# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.ctl.stamped import Stamped
from kata_host.keeper.log_reader import Chunk

ONE, TWO = b"1970-01-01T00:00:01.500000Z ", b"1970-01-01T00:00:02.000000Z "


def test_each_line_has_the_time_of_its_beginning() -> None:
    stamped = Stamped()
    first = stamped.take(Chunk(1, 1_500_000_000, b"a\nb"))
    assert first == ONE + b"a\n" + ONE + b"b"
    assert stamped.take(Chunk(1, 2_000_000_000, b"c\nd\n")) == b"c\n" + TWO + b"d\n"
