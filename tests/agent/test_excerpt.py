# SPDX-License-Identifier: Apache-2.0
"""One bounded line of text that others wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_agent.excerpt import ERROR_LIMIT, excerpt


def test_a_short_line_stays_as_it_is() -> None:
    text = "container 'a1': no process 'é €'"
    assert excerpt(text) == text


def test_the_beginning_and_the_end_of_a_long_text_stay() -> None:
    text = "container '" + "x" * 100_000 + "': not found"
    short = excerpt(text)
    assert len(short) == ERROR_LIMIT
    assert short.startswith("container 'xxx")
    assert short.endswith("xxx': not found")
    assert f" [... of {len(text)} characters ...] " in short


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b[2J\x7f\0", r"\x1b[2J\x7f\x00"),
        ("\u202e\u2028\udc80", r"\u202e\u2028\udc80"),
    ],
)
def test_what_cannot_be_printed_is_escaped(text: str, line: str) -> None:
    assert excerpt(text) == line


@given(st.text(st.characters(), max_size=300), st.integers(60, 200))
def test_a_line_is_never_longer_than_the_limit(text: str, limit: int) -> None:
    short = excerpt(text, limit)
    assert len(short) <= limit
    assert short.isprintable()
    short.encode()
