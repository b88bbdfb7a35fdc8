# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.trace.shorten import MAX_TEXT, shorten


def test_a_text_is_cut_and_has_no_control_characters() -> None:
    assert shorten("grün") == "grün"
    assert shorten("x" * 5000) == "x" * (MAX_TEXT - 1) + "…"
    assert shorten("abc", 2) == "a…"
    assert shorten("a\u202eb\u2028\x00\ud800") == "a\\u202eb\\u2028\\x00\\ud800"
