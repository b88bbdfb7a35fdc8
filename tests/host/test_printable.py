# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("größer als 1 µs", "größer als 1 µs"),
        ("1 \x1b]0;owned\x07", "1 \\x1b]0;owned\\x07"),
        ("a\rb\nc", "a\\rb\\nc"),
        ("\u202eleft", "\\u202eleft"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_guest_cannot_control_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_byte_of_a_name_that_is_not_utf_8_is_shown() -> None:
    assert printable("bad\udcff") == "bad\\xff"
