# SPDX-License-Identifier: Apache-2.0
"""The page's text; `tests/e2e/test_trace_page.py` opens it in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

from kata_host.trace.page.render import SCRIPTS, render_page
from kata_host.trace.received_span import ReceivedSpan
from tests.helpers.source_tree import ROOT

FOLDER = ROOT / "host" / "trace" / "page"


def test_the_page_loads_nothing() -> None:
    text = render_page([])
    assert not re.findall(r"""(?:src|href)=|https?://|@import|url\(""", text)
    assert "default-src 'none'" in text


def test_the_browser_is_told_to_run_the_pages_script_alone() -> None:
    text = render_page([])
    for tag, kind in (("script", "script-src"), ("style", "style-src")):
        content = re.search(f"<{tag}>(.*?)</{tag}>", text, re.S)
        assert content is not None
        digest = hashlib.sha256(content[1].encode()).digest()
        assert f"{kind} 'sha256-{base64.b64encode(digest).decode()}';" in text
    assert "unsafe-inline" not in text


def test_a_guests_text_is_never_markup() -> None:
    evil = "</script><script>alert(1)</script><!--\x1b\u2028$data"
    span = ReceivedSpan("t", "a", "", evil, 5_000, 9_000, attributes={evil: evil})
    text = render_page([span])
    assert text.count("<script") == text.count("</script>") == 2
    data = re.search(r'<script id="data" type="application/json">(.*?)</script>', text)
    assert data is not None
    assert json.loads(data[1])["shared"][0].startswith("</script>")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u2028\u202e]", text)


def test_every_script_is_in_the_page() -> None:
    assert {path.name for path in FOLDER.glob("*.js")} == set(SCRIPTS)


def test_the_page_has_all_that_its_scripts_use() -> None:
    scripts = "".join(Path(FOLDER / name).read_text() for name in SCRIPTS)
    named = set(re.findall(r'\$\("([a-z]+)"\)', scripts))
    named |= {"find", "errors", "least", "grouping"}
    assert named == set(re.findall(r'id="([a-z]+)"', render_page([]))) - {"data"}


def test_the_guests_text_only_ever_becomes_text() -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function",
        render_page([]),
    )
