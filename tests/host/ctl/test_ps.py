# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.ctl.ps import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("PID CMD\n1 sh\n", "PID CMD\n1 sh\n"),
        ("no end", "no end\n"),
        ("1 \x1b]0;owned\x07\n", "1 \\x1b]0;owned\\x07\n"),
        ("1 a\rb\n", "1 a\\rb\n"),
    ],
)
def test_a_guest_cannot_write_to_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
