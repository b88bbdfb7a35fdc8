# SPDX-License-Identifier: Apache-2.0
"""The page of a trace in Chromium: its controls, by events of keyboard and mouse."""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any, Final

import pytest

from kata_host.trace.page import render_page
from kata_host.trace.received_span import ReceivedSpan, SpanStatus

CHROMIUM: Final = shutil.which("chromium")
SPANS: Final = [
    ReceivedSpan("t", "a", "", "call", 0, 50_000_000),
    ReceivedSpan("t", "b", "a", "short", 0, 1_000),
    ReceivedSpan("t", "c", "a", "bad", 0, 2_000_000, status=SpanStatus.ERROR),
    ReceivedSpan("t", "d", "a", "<b>" + "x" * 9000, 0, 20_000_000),
]
pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="no chromium"
)


def run_in_page(tmp_path: Path, script: str, width: int = 1200) -> Any:
    """Return what `script`, the body of a function, returns in the page."""
    page = tmp_path / "page.html"
    end = (
        "<script>{ const set = (id, value) => { const it = $(id); "
        "if (typeof value === 'boolean') it.checked = value; else it.value = value; "
        "it.dispatchEvent(new Event('input')); };"
        "const shown = () => rows.filter(row => !row.element.hidden)"
        ".map(row => row.span.name.slice(0, 5));"
        "const focused = () => rows.find(row => row.element === document.activeElement)"
        "?.span.name.slice(0, 5) ?? '';"
        "const press = (element, key, more) => element.dispatchEvent("
        "new KeyboardEvent('keydown', { key, bubbles: true, ...more }));"
        f"const result = (() => {{ {script} }})();"
        "document.body.replaceChildren(make('pre', '', JSON.stringify(result))); }"
        "</script></body>"
    )
    page.write_text(render_page(SPANS).replace("</body>", end), encoding="utf-8")
    assert CHROMIUM is not None, "no chromium"
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},800",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"<pre>(.*)</pre>", done.stdout)
    assert found is not None, done.stdout[-2000:]
    return json.loads(unescape(found[1]))


def test_the_page_filters_steps_and_leaves_the_wheel_to_the_page(
    tmp_path: Path,
) -> None:
    result = run_in_page(
        tmp_path,
        """
        const out = {};
        set('errors', true); out.errors = shown(); set('errors', false);
        set('least', '1e4'); out.least = shown(); set('least', '0');
        set('find', 'S'); press($('find'), 'Enter'); out.hit = [shown(), focused()];
        set('find', '');
        press($('find'), 'Enter'); press($('find'), 'Enter'); out.next = focused();
        press($('find'), 'Enter', { shiftKey: true }); out.previous = focused();
        $('next').click(); out.button = focused();
        const wheel = ctrlKey => {
          const event = new WheelEvent('wheel', { deltaY: -1, ctrlKey,
            cancelable: true, bubbles: true, clientX: 900 });
          $('rows').firstChild.dispatchEvent(event);
          return [event.defaultPrevented, to - from < last - first];
        };
        out.wheel = wheel(false); out.zoom = wheel(true);
        press($('rows').firstChild, '0'); out.whole = to - from === last - first;
        out.markup = document.querySelectorAll('#rows b').length;
        return out;
        """,
    )
    assert result == {
        "errors": ["bad"],
        "least": ["call", "<b>xx"],
        "hit": [["short"], "short"],
        "next": "<b>xx",
        "previous": "call",
        "button": "<b>xx",
        "wheel": [False, False],
        "zoom": [True, True],
        "whole": True,
        "markup": 0,
    }


def test_the_page_is_no_wider_than_a_phone(tmp_path: Path) -> None:
    script = "return document.documentElement.scrollWidth <= innerWidth"
    assert run_in_page(tmp_path, script, 500) is True
