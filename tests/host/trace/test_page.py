# SPDX-License-Identifier: Apache-2.0
import json
import re

from kata_host.trace.page import render_page
from kata_host.trace.received_span import ReceivedSpan, SpanStatus


def test_the_page_loads_nothing() -> None:
    text = render_page([])
    assert not re.findall(r"""(?:src|href)=|https?://|@import|url\(""", text)
    assert "const spans = []" in text


def test_a_guests_text_is_never_markup() -> None:
    evil = "</script><script>alert(1)</script><!--\x1b\u2028"
    span = ReceivedSpan(
        "t",
        "a",
        "",
        evil,
        5_000,
        9_000,
        status=SpanStatus.ERROR,
        attributes={evil: evil},
    )
    text = render_page([span])
    assert text.count("<script>") == text.count("</script>") == 1
    data = re.search(r"const spans = (\[.*\]);", text)
    assert data is not None
    (row,) = json.loads(data[1])
    assert row["failed"] is True
    assert (row["start"], row["end"], row["time"]) == (5, 9, "4 µs")
    assert row["name"].startswith("</script>")


def test_a_hint_tells_calls_of_one_name_apart() -> None:
    def span(name: str, parent: str, **attributes: str) -> ReceivedSpan:
        of = {key.replace("_", "."): value for key, value in attributes.items()}
        return ReceivedSpan("t", name, parent, name, 1, 2, attributes=of)

    spans = [
        span("a", "", container_id="c1", agent_exec_id="c1"),
        span("b", "a", container_id="c1", agent_exec_id="e1"),
        span("c", "b"),
    ]
    data = re.search(r"const spans = (\[.*\]);", render_page(spans))
    assert data is not None
    assert [it["hint"] for it in json.loads(data[1])] == ["c1", "e1", ""]


def test_the_page_has_all_that_its_script_uses() -> None:
    """Each element that the script names, and each field of a span."""
    text = render_page([ReceivedSpan("t", "a", "", "a", 1, 2)])
    named = set(re.findall(r'\$\("([a-z]+)"\)', text))
    assert named
    assert named == set(re.findall(r'id="([a-z]+)"', text)) - {"axis"}
    data = re.search(r"const spans = (\[.*\]);", text)
    assert data is not None
    (row,) = json.loads(data[1])
    used = set(re.findall(r"\bspan\.([a-z]+)", text)) - {"title"}
    assert used == set(row)


def test_the_guests_text_only_ever_becomes_text() -> None:
    text = render_page([])
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval", text
    )


def test_children_are_one_deeper() -> None:
    spans = [
        ReceivedSpan("t", "b", "a", "b", 1, 2),
        ReceivedSpan("t", "a", "", "a", 0, 3),
    ]
    data = re.search(r"const spans = (\[.*\]);", render_page(spans))
    assert data is not None
    assert [(it["name"], it["depth"]) for it in json.loads(data[1])] == [
        ("a", 0),
        ("b", 1),
    ]
