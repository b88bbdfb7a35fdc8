# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.quantities import (
    parse_count,
    parse_duration,
    parse_size,
    to_duration,
    to_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("12b", 12),
        ("64k", 64 << 10),
        ("512m", 512 << 20),
        ("512M", 512 << 20),
        ("512mb", 512 << 20),
        ("1GiB", 1 << 30),
        ("1.5g", 3 << 29),
        ("0.1k", 102),
        ("2 t", 2 << 40),
        ("8191p", 8191 << 50),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_a_size_is_in_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "size"),
    [("512", 512 << 20), ("1g", 1 << 30), ("64k", 64 << 10), ("1048576b", 1 << 20)],
)
def test_a_number_alone_may_have_another_unit(text: str, size: int) -> None:
    assert parse_size(text, unit="m") == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m",
        "-1",
        "1e3",
        "0x10",
        "1mm",
        "1,5g",
        "1. g",
        "9223372036854775808",
        "٣m",
        "8192p",
        "nan",
        "inf",
        "1_000",
        " 1",
        "1\n",
        "9" * 5000,
    ],
)
def test_no_size_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="^size '"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("2", 2),
        ("1.5", 1.5),
        (".5", 0.5),
        ("2s", 2),
        ("500ms", 0.5),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("1d", 86400),
        ("3.", 3),
    ],
)
def test_a_duration_is_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "-1",
        "nan",
        "inf",
        "1e400",
        "1e3",
        "5x",
        "1s2",
        "2147483648",
        "1_0",
        "٣s",
        "1 s",
        "1s\n",
        "100000d",
        "9" * 5000,
    ],
)
def test_no_duration_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="^duration '"):
        parse_duration(text)


def test_a_count_is_one_or_more() -> None:
    assert parse_count("1") == 1
    assert parse_count("2147483647") == 2**31 - 1
    for text in ("0", "-1", "x", "", "1.5", "2147483648", "1_0", "٣", "9" * 5000):
        with pytest.raises(ValueError, match="^number '"):
            parse_count(text)


def test_numbers_of_bytes_and_seconds_stay_what_they_are() -> None:
    assert (to_size("1k"), to_size(5), to_size(0)) == (1024, 5, 0)
    assert (to_duration("1m"), to_duration(0.5)) == (60, 0.5)
    for wrong in (-1, 1 << 63):
        with pytest.raises(ValueError, match=f"^size {wrong}: not a number of bytes$"):
            to_size(wrong)
