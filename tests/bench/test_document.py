# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench import document


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Copies of the two pages, in place of them."""
    for name in ("README", "COMPARISON"):
        copied = Path(shutil.copy(getattr(document, name), tmp_path))
        monkeypatch.setattr(document, name, copied)
    monkeypatch.setattr(document, "CHARTS", tmp_path / "charts")
    return document.README, document.COMPARISON


def test_figures_of_ttrpc_go_into_both_pages(pages: tuple[Path, Path]) -> None:
    before = [page.read_text() for page in pages]
    document.replace_section("ttrpc-pairs", "### A table\n\n| 7 |")
    for page, text in zip(pages, before, strict=True):
        assert document.section(page, "ttrpc-pairs") == "### A table\n\n| 7 |"
        assert document.section(page, "ttrpc-server") in text
        start = text.index("<!-- ttrpc-pairs:")
        assert page.read_text().startswith(text[:start])


def test_figures_of_the_agent_go_into_the_readme(pages: tuple[Path, Path]) -> None:
    readme, comparison = pages
    before = comparison.read_text()
    document.replace_section("budget", "| 7 |")
    assert document.section(readme, "budget") == "| 7 |"
    assert comparison.read_text() == before


def test_a_section_may_become_empty(pages: tuple[Path, Path]) -> None:
    document.replace_section("ttrpc-pairs", "")
    for page in pages:
        assert document.section(page, "ttrpc-pairs") == ""


def test_an_unknown_section_is_an_error(pages: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match="substring not found"):
        document.replace_section("nothing", "| 7 |")
