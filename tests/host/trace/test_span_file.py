# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from kata_host.trace import span_file
from kata_host.trace.span_file import SpanFileError, read_spans


def batch(*names: str) -> str:
    spans = [{"name": name} for name in names]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}) + "\n"


def test_the_lines_of_a_file_are_its_batches(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text(batch("a", "b") + "\n" + batch("c").rstrip())
    file = read_spans(path)
    assert [span.name for span in file.spans] == ["a", "b", "c"]
    assert file.is_whole


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text(batch("a") + "{}\n" + '{"resourceSpans": [7]}\n')
    with pytest.raises(SpanFileError, match=r"spans.jsonl: line 3: .*not an object"):
        read_spans(path)


@pytest.mark.parametrize(("bound", "value"), [("MAX_SPANS", 2), ("MAX_BYTES", 150)])
def test_the_first_spans_of_a_huge_file_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text(batch("a") + batch("b") + batch("c"))
    monkeypatch.setattr(span_file, bound, value)
    file = read_spans(path)
    assert [span.name for span in file.spans] == ["a", "b"]
    assert not file.is_whole


def test_a_line_of_more_than_all_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text(batch("a", "b", "c"))
    monkeypatch.setattr(span_file, "MAX_SPANS", 2)
    file = read_spans(path)
    assert [span.name for span in file.spans] == ["a", "b"]
    assert not file.is_whole
