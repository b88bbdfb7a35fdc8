# SPDX-License-Identifier: Apache-2.0
"""The charts of the documentation have the figures of the page."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bench.charts import CHARTS, FOLDER, chart_of, redraw
from bench.document import README, section, sections
from bench.tables import figures_of, read_tables

DRAWN = [
    name
    for name in sections(README)
    if chart_of(name) and read_tables(section(README, name))
]
SVG = "{http://www.w3.org/2000/svg}"


def test_every_chart_has_its_section() -> None:
    assert set(CHARTS) <= set(sections(README))


@pytest.mark.parametrize("name", DRAWN)
def test_the_figures_are_the_tables(name: str, tmp_path: Path) -> None:
    chart = chart_of(name)
    assert chart is not None
    table = read_tables(section(README, name))[0]
    places = [table.header.index(column) for column in chart.columns]
    expected = [
        figure.text
        for row in table.rows
        for place in places
        for figure in figures_of(row[place])[:1]
    ]
    drawing = FOLDER / f"{name}.svg"
    texts = [
        it.text or "" for it in ET.fromstring(drawing.read_text()).iter(f"{SVG}text")
    ]
    shown = [figure.text for text in texts for figure in figures_of(text)[:1]]
    missing = [text for text in expected if text not in shown]
    assert not missing, "run `make bench-charts`"
    redraw(name, section(README, name), tmp_path)
    now = (tmp_path / drawing.name).read_text()
    assert now == drawing.read_text(), "run `make bench-charts`"


def test_the_documentation_shows_every_chart_and_no_other() -> None:
    page = (FOLDER.parents[1] / "charts.md").read_text()
    drawn = {f"{name}.svg" for name in DRAWN}
    assert {path.name for path in FOLDER.iterdir()} == drawn
    for name in drawn:
        assert f"(assets/charts/{name})" in page, f"docs/charts.md: no {name}"


def test_a_peer_may_be_left_out(tmp_path: Path) -> None:
    text = "| load | floor/s | ours/s |\n|---|---|---|\n| unary | 8 | 7 |"
    redraw("ttrpc-shares", text, tmp_path)
    drawing = (tmp_path / "ttrpc-shares.svg").read_text()
    assert "floor/s" in drawing
    assert "ttrpc-rust/s" not in drawing


def test_a_section_without_a_chart_is_not_drawn(tmp_path: Path) -> None:
    redraw("soak", "| a | b |\n|---|---|\n| c | 7 |", tmp_path)
    redraw("stdio", "no table yet", tmp_path)
    redraw("stdio", "| 7 |", tmp_path)
    assert not list(tmp_path.iterdir())
