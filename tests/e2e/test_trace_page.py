# SPDX-License-Identifier: Apache-2.0
"""The page of a trace in Chromium, by keyboard, mouse and wheel."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

from kata_host.forwarder.json_lines import to_json
from kata_host.trace.json_spans import from_otlp_json
from kata_host.trace.span_file import read_spans
from tests.helpers.chromium import CHROMIUM, CTRL, SHIFT, Chromium, Page
from tests.helpers.command_line import CTL
from tests.helpers.trace_samples import hostile_batch, many_lines, sample_batch

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("CI"), reason="no chromium"
)

SHOWN: Final = (
    "[...document.querySelectorAll('.row')]"
    ".sort((a, b) => a.dataset.row - b.dataset.row)"
    ".map(row => row.querySelector('.name').textContent)"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium


def write_page(folder: Path, *batches: Any) -> Path:
    """Return the page that the command line makes of a file of spans."""
    source, page = folder / "spans.jsonl", folder / "page.html"
    source.write_text("".join(to_json(batch) + "\n" for batch in batches))
    subprocess.run([*CTL, "trace", "--from", source, "--html", page], check=True)
    return page


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("sample"), sample_batch())


def shown(page: Page) -> list[str]:
    page.frame()
    names: list[str] = page.evaluate(SHOWN)
    return names


def choose(page: Page, control: str, value: str | bool) -> list[str]:
    """Change a control, and return the names that are then shown."""
    field = "checked" if isinstance(value, bool) else "value"
    page.evaluate(
        f"$('{control}').{field} = {json.dumps(value)},"
        f"$('{control}').dispatchEvent(new Event('input')), 0"
    )
    return shown(page)


def current(page: Page) -> str:
    page.frame()
    name: str = page.evaluate(
        "document.getElementById($('rows').getAttribute('aria-activedescendant'))"
        ".querySelector('.name').textContent"
    )
    return name


def middle_of(page: Page, selector: str) -> tuple[float, float]:
    x, y = page.evaluate(
        f"(it => [it.x + it.width / 2, it.y + it.height / 2])"
        f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
    )
    return x, y


FOLD: Final = "▸CopyFile \N{MULTIPLICATION SIGN} 256"
ALL: Final = [
    "▾run",
    "▾CreateContainer c1",
    "✕ storage.add local",
    FOLD,
    "▾WriteStdin c2 e1",
    "step",
    "boot",
]


def test_equal_calls_are_one_row_that_unfolds(browser: Chromium, sample: Path) -> None:
    page = browser.open(sample, height=9000)
    assert shown(page) == ALL
    row = '[id="row-3"]'
    assert (
        page.evaluate(f"document.querySelector('{row} .time').textContent") == "256 ms"
    )
    page.click(*middle_of(page, f"{row} .name"))
    assert shown(page) == [
        *ALL[:3],
        FOLD.replace("▸", "▾"),
        *["CopyFile"] * 256,
        *ALL[4:],
    ]
    page.press("ArrowLeft")
    assert shown(page) == ALL


def test_spans_are_grouped_by_trace_and_by_container(
    browser: Chromium, sample: Path
) -> None:
    page = browser.open(sample)
    assert choose(page, "grouping", "container") == [
        *("▾container none", "▾run", FOLD, "boot"),
        *("▾container c1", "▾CreateContainer c1", "✕ storage.add local"),
        *("▾container c2", "▾WriteStdin c2 e1", "step"),
    ]
    traces = choose(page, "grouping", "trace")
    assert traces == [f"▾trace {1:032x}", *ALL[:6], f"▾trace {2:032x}", "boot"]
    page.click(*middle_of(page, ".group .name"))
    assert shown(page) == [f"▸trace {1:032x}", f"▾trace {2:032x}", "boot"]
    assert choose(page, "grouping", "") == ALL


def test_filters_leave_what_fits_below_what_is_shown(
    browser: Chromium, sample: Path
) -> None:
    page = browser.open(sample)
    assert choose(page, "errors", True) == ["✕ storage.add local"]
    choose(page, "errors", False)
    assert choose(page, "least", "1e8") == ["▾run", "CreateContainer c1"]
    choose(page, "least", "0")
    # An attribute's value is found too, and so is an id.
    assert choose(page, "find", "enoENT") == ["✕ storage.add local"]
    assert choose(page, "find", f"{2:032x}") == ["boot"]
    assert page.evaluate("$('summary').textContent").startswith("1 of 262 spans, ")
    assert choose(page, "find", "nowhere") == []
    page.press("Enter")


def test_next_and_previous_go_through_the_hits(browser: Chromium, sample: Path) -> None:
    page = browser.open(sample)
    page.evaluate("$('find').focus()")
    page.type("c")
    seen = []
    for _ in range(3):
        page.press("Enter")
        seen.append(current(page))
    page.press("Enter", SHIFT)
    assert seen == ["▾CreateContainer c1", "✕ storage.add local", FOLD]
    assert current(page) == seen[1]
    page.click(*middle_of(page, "#next"))
    assert current(page) == seen[2]
    page.click(*middle_of(page, "#previous"))
    assert current(page) == seen[1]


def test_the_keyboard_alone_is_enough(browser: Chromium, sample: Path) -> None:
    page = browser.open(sample)
    focused = []
    for _ in range(13):
        page.press("Tab")
        focused.append(page.evaluate("document.activeElement.id"))
    controls = ["find", "previous", "next", "errors", "least", "grouping"]
    assert focused[:11] == [*controls, "in", "out", "all", "save", ""]
    assert focused[11] == "rows"
    page.evaluate("$('rows').focus()")
    went = []
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft", "End", "Home", "ArrowLeft"):
        page.press(key)
        went.append(current(page))
    assert went == [ALL[1], ALL[2], ALL[1], ALL[-1], ALL[0], "▸run"]
    page.press("ArrowRight")
    assert shown(page) == ALL
    page.press("Enter")
    page.press("Tab")
    inside = "$('details').contains(document.activeElement)"
    assert page.evaluate(inside)
    page.press("Escape")
    assert page.evaluate("[$('details').hidden, document.activeElement.id]") == [
        *(True, "rows")
    ]
    page.press("+")
    assert page.evaluate("(to - from) * 2 === last")
    page.press("ArrowRight", SHIFT)
    assert page.evaluate("from > 0")
    page.press("0")
    assert page.evaluate("from === 0 && to === last")


def test_the_wheel_scrolls_and_with_ctrl_zooms(browser: Chromium, sample: Path) -> None:
    page = browser.open(sample, height=250)
    x, y = middle_of(page, '[id="row-0"] .track')
    page.wheel(x, y, 60)
    page.evaluate(
        "new Promise(done => scrollY ? done() : addEventListener('scroll', done))"
    )
    assert page.evaluate("scrollY > 0 && to - from === last")
    page.wheel(x, y - 30, -60, CTRL)
    page.frame()
    assert page.evaluate("to - from < last")


def test_details_have_all_that_a_span_has(browser: Chromium, sample: Path) -> None:
    page = browser.open(sample)
    page.click(*middle_of(page, '[id="row-2"] .track'))
    facts = page.evaluate(
        "[...document.querySelectorAll('dt, dd')].map(it => it.textContent)"
    )
    found = dict(zip(facts[::2], facts[1::2], strict=True))
    assert found["duration"] == "10 ms"
    assert found["agent.errno"] == "ENOENT"
    assert found["service"] == "kata-agent"
    assert found["agent.count"] == "7"
    assert found["event +25 ms"] == "moment"


def test_what_is_saved_is_what_the_command_line_reads(
    browser: Chromium, sample: Path, tmp_path: Path
) -> None:
    page = browser.open(sample)
    browser.call(
        "Browser.setDownloadBehavior",
        **{"behavior": "allow", "downloadPath": str(tmp_path), "eventsEnabled": True},
    )

    def saved() -> list[Any]:
        browser.events.clear()
        page.click(*middle_of(page, "#save"))
        browser.wait_for("Browser.downloadProgress", state="completed")
        (file,) = tmp_path.iterdir()
        spans = sorted(read_spans(file).spans, key=lambda it: (it.trace_id, it.span_id))
        file.unlink()
        return spans

    assert saved() == list(from_otlp_json(to_json(sample_batch())))
    choose(page, "errors", True)
    assert [span.name for span in saved()] == ["storage.add"]


@pytest.mark.parametrize("width", [360, 1200])
def test_no_part_of_the_page_is_wider_than_the_window(
    browser: Chromium, tmp_path: Path, width: int
) -> None:
    page = browser.open(write_page(tmp_path, hostile_batch(), sample_batch()), width)
    wide = "document.documentElement.scrollWidth > innerWidth"
    assert not page.evaluate(wide)
    page.evaluate("document.querySelector('.help').open = true, 0")
    page.click(*middle_of(page, '[id="row-1"] .track'))
    assert not page.evaluate(wide)
    assert page.evaluate(
        "[...document.querySelectorAll('button, input, select, .name, .track, dd')]"
        ".every(it => it.getBoundingClientRect().right <= innerWidth"
        " && it.getBoundingClientRect().width >= 12)"
    )


def test_hostile_spans_are_text_and_bounded(browser: Chromium, tmp_path: Path) -> None:
    path = write_page(tmp_path, hostile_batch())
    assert path.stat().st_size < 1 << 20
    page = browser.open(path)
    assert not page.evaluate("'hacked' in window || document.title !== 'Trace'")
    assert page.evaluate("document.querySelectorAll('script').length") == 2
    assert (
        page.evaluate("document.querySelectorAll('main b, main img, main a').length")
        == 0
    )
    count = page.evaluate("spans.length")
    # Each id of a trace is there once; of a circle of parents, each span.
    assert count == len(
        {(s.trace_id, s.span_id) for s in read_spans(tmp_path / "spans.jsonl").spans}
    )
    text = page.evaluate("document.body.innerText")
    assert not set(text) & set("\x00\x1b\u2028\u202e\u200f")
    # At all widths of time, in all panels, and as a file: no error, and no end of time.
    page.evaluate("for (let i = 0; i < 60; i++) { zoom(.5); drawRows(); drawAxis(); }")
    page.evaluate("whole(); for (const row of rows) showDetails(row);")
    page.evaluate("rows.forEach((_, i) => turn(i, true)); drawRows(); drawAxis();")
    saved = page.evaluate("[...toLines(spans)].join('')")
    assert len(list(from_otlp_json(saved))) == count
    assert not [
        it for it in browser.events if it.get("method") == "Runtime.exceptionThrown"
    ]


def test_a_span_of_another_policy_cannot_run(browser: Chromium, sample: Path) -> None:
    """If a fault ever let markup in, the browser would not run it."""
    page = browser.open(sample)
    page.evaluate(
        "(() => { const it = document.createElement('div');"
        "it.innerHTML = '<img src=x onerror=\"window.hacked = 1\">';"
        "const script = document.createElement('script');"
        "script.textContent = 'window.hacked = 1';"
        "document.body.append(it, script); })()"
    )
    page.frame()
    assert not page.evaluate("'hacked' in window")


@pytest.mark.slow
@pytest.mark.timeout(300)  # Of processor time it takes ten seconds.
def test_a_hundred_thousand_spans_open_scroll_and_are_found(
    browser: Chromium, tmp_path: Path
) -> None:
    source, path = tmp_path / "spans.jsonl", tmp_path / "page.html"
    source.write_text("".join(many_lines(100_000)))
    subprocess.run([*CTL, "trace", "--from", source, "--html", path], check=True)
    assert path.stat().st_size < 20_000_000
    page = browser.open(path)
    assert page.evaluate("rows.length") == 100_000
    # The page holds what the window shows, and no more.
    elements = "document.querySelectorAll('*').length"
    assert page.evaluate(elements) < 500
    page.evaluate("$('rows').focus()")
    page.press("End")
    assert current(page) == "step.do99999"
    assert page.evaluate(
        "$('row-99999').getBoundingClientRect().bottom <= innerHeight && scrollY > 1e6"
    )
    assert page.evaluate(elements) < 500
    assert choose(page, "find", "/run/47110") == ["call.number47110 c110"]
    choose(page, "find", "")
    assert choose(page, "grouping", "container")[0] == "▾container c0"


@pytest.fixture(scope="module")
def axe() -> str:
    """The scripts of axe (https://github.com/dequelabs/axe-core)."""
    if not find_spec("axe_core_python"):
        if os.environ.get("CI"):
            pytest.fail("no axe-core-python")
        pytest.skip("no axe-core-python")
    return files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_axe_finds_nothing(
    browser: Chromium, sample: Path, axe: str, width: int, scheme: str
) -> None:
    page = browser.open(sample, width)
    page.call(
        "Emulation.setEmulatedMedia",
        features=[{"name": "prefers-color-scheme", "value": scheme}],
    )
    page.evaluate(f"{axe}; 0")

    def violations() -> list[Any]:
        page.frame()
        found: list[Any] = page.evaluate(
            "axe.run().then(({ violations }) =>"
            " violations.map(it => [it.id, it.nodes.map(node => node.html)]))"
        )
        return found

    assert not violations()
    # All that opens, open: groups, a fold, help and the details.
    choose(page, "grouping", "container")
    page.evaluate("turn(2, true), document.querySelector('.help').open = true, 0")
    page.evaluate("$('rows').focus()")
    page.press("Enter")
    assert not page.evaluate("$('details').hidden")
    assert not violations()
    # axe does find what is wrong.
    page.evaluate(
        "$('find').removeAttribute('aria-label'), $('find').placeholder = '', 0"
    )
    assert [it[0] for it in violations()] == ["label"]
