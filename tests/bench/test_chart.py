# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from bench.chart import OURS, Chart, draw
from bench.tables import read_tables

TEXT = """\
| mode | in flight | Go/s | ours/s | ours/Go |
|---|---|---|---|---|
| `unary` | 1 | 8,000 | 10,000 | 1.25 |
| `unary` | 8 | 400 | 100 | **0.25** |
| upload | 1 |  | 7 ms |  |
| nothing | 1 |  |  |  |
"""
SVG = "{http://www.w3.org/2000/svg}"


def bars_of(svg: str) -> list[tuple[float, str]]:
    """Return the length of each bar and its colour, without the legend's."""
    bars = [
        bar
        for bar in ET.fromstring(svg).iter(f"{SVG}rect")
        if bar.get("class") == "bar" and bar.get("width") != "11"
    ]
    return [(float(bar.attrib["width"]), bar.attrib["fill"]) for bar in bars]


def texts_of(svg: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]


def test_each_number_is_a_bar_of_its_length_with_its_text() -> None:
    (table,) = read_tables(TEXT)
    svg = draw(Chart("Calls & more", ("Go/s", "ours/s")), table)
    title, *legend = texts_of(svg)
    assert title == "Calls & more"
    assert legend[:2] == ["Go/s", "ours/s"]
    assert legend[2:] == [
        *("unary, 1", "8,000", "10,000"),
        *("unary, 8", "400", "100"),
        *("upload, 1", "7 ms"),
    ]
    lengths = [length for length, _ in bars_of(svg)]
    # Each row has a scale of its own.
    assert lengths[0] / lengths[1] == pytest.approx(0.8)
    assert lengths[3] / lengths[2] == pytest.approx(0.25)
    assert [colour == OURS for _, colour in bars_of(svg)] == [
        *(False, True),
        *(False, True),
        True,
    ]


def test_one_column_has_one_scale() -> None:
    (table,) = read_tables(TEXT)
    svg = draw(Chart("Ratios", ("ours/Go",)), table)
    (first, _), (second, _) = bars_of(svg)
    assert second / first == pytest.approx(0.2, abs=0.001)


def test_the_same_table_gives_the_same_bytes() -> None:
    (table,) = read_tables(TEXT)
    chart = Chart("Calls", ("Go/s", "ours/s"))
    assert draw(chart, table) == draw(chart, table)


def test_a_column_that_is_missing_is_an_error() -> None:
    (table,) = read_tables(TEXT)
    with pytest.raises(ValueError, match="Rust/s"):
        draw(Chart("Calls", ("Rust/s",)), table)
