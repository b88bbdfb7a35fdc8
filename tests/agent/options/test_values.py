# SPDX-License-Identifier: Apache-2.0
"""Values in the grammar of Go."""

from __future__ import annotations

import pytest

from kata_agent.options.values import (
    parse_bool,
    parse_duration,
    parse_timeout,
    parse_uint32,
)


@pytest.mark.parametrize("text", ["1", "t", "T", "TRUE", "true", "True"])
def test_true(text: str) -> None:
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "FALSE", "false", "False"])
def test_false(text: str) -> None:
    assert parse_bool(text) is False


@pytest.mark.parametrize("text", ["", "yes", "on", "tru", "5", "tRUE", " true"])
def test_neither_true_nor_false(text: str) -> None:
    with pytest.raises(ValueError, match="not a boolean"):
        parse_bool(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("007", 7), ("1024", 1024), ("4294967295", 2**32 - 1), ("0" * 99, 0)],
)
def test_unsigned(text: str, value: int) -> None:
    assert parse_uint32(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "0x10", "5.0", "1_000", "4294967296", "\u0663", "9" * 100_000],
)
def test_not_unsigned(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an unsigned|more than 32 bits"):
        parse_uint32(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("+0", 0),
        ("-0", 0),
        ("10s", 10),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("-5s", -5),
        ("+5s", 5),
        ("100us", 0.0001),
        ("100\u00b5s", 0.0001),
        ("100\u03bcs", 0.0001),
        ("7ns", 7e-9),
        ("0.3333333333333333333333s", 0.333333333),
    ],
)
def test_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "+", ".", ".s", "s", "10", "-1", "5.0", "1 s", " 1s", "1s ", "1S"),
        *("1d", "1s2", "--1s", "1e3s", "3000000h", "9" * 100 + "s", "\u0663s"),
    ],
)
def test_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("0", 0), ("1m", 60)])
def test_timeout_takes_whole_seconds_too(text: str, seconds: float) -> None:
    assert parse_timeout(text) == seconds
