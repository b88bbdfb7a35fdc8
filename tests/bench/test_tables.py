# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from bench.document import README
from bench.tables import Figure, figures_of, read_tables

TEXT = """\
### Calls

Words.

| mode | size | in flight | Go/s | ours/Go |
| --- | --- | --- | --- | --- |
| unary | 0 B | 1 | 8,640 | 1.25 |
| unary | 0 B | 8 | 46,035 | **0.93** |

| | measured |
|---|---|
| start | 80.6 ms, 13.0 times bare |
"""


def test_a_table_has_its_title_and_cells() -> None:
    calls, start = read_tables(TEXT)
    assert calls.title == "Calls"
    assert calls.header == ["mode", "size", "in flight", "Go/s", "ours/Go"]
    assert calls.rows[1] == ["unary", "0 B", "8", "46,035", "**0.93**"]
    assert start.rows == [["start", "80.6 ms, 13.0 times bare"]]


def test_a_row_is_named_by_what_tells_it_from_the_others() -> None:
    calls, start = read_tables(TEXT)
    assert calls.name_width == 3
    assert start.name_width == 1


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("8,640", [("8,640", "", 8640.0)]),
        ("**0.93**", [("0.93", "", 0.93)]),
        (
            "80.6 ms, 13.0 times bare",
            [("80.6", "ms", 80.6), ("13.0", "times bare", 13.0)],
        ),
        ("8,629 (8,284 to 9,115)", [("8,629", "", 8629.0)]),
        ("p99 2.6 ms", [("2.6", "ms", 2.6)]),
        ("v1 and crun", []),
        ("", []),
    ],
)
def test_a_cell_holds_figures(
    cell: str, expected: list[tuple[str, str, float]]
) -> None:
    found = figures_of(cell)
    assert found == [Figure(text, unit) for text, unit, _ in expected]
    assert [figure.value for figure in found] == [value for _, _, value in expected]


def test_every_table_of_the_page_is_whole() -> None:
    tables = read_tables(README.read_text())
    assert len(tables) > 12
    for table in tables:
        assert table.rows
        assert all(len(row) == len(table.header) for row in table.rows)
