# SPDX-License-Identifier: Apache-2.0
from kata_host.trace.span_record import SpanRecord
from kata_host.trace.tree import build, format_duration, render
from kata_tracing.kind import Status


def record(
    span: str, parent: str = "", start: int = 0, end: int = 10, **more
) -> SpanRecord:  # type: ignore[no-untyped-def]
    return SpanRecord(
        "t", span, parent, more.pop("name", f"n.{span}"), start, end, **more
    )


def test_children_below_their_parents_in_order() -> None:
    spans = [
        record("c", "a", 5, 8, attributes={"container.id": "c1"}),
        record(
            "b", "a", 1, 4, status=Status.ERROR, attributes={"error.type": "OSError"}
        ),
        record("a", "", 0, 10_000_000),
    ]
    lines = render(spans, width=90).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "n.a",
        "├─ n.b [OSError]",
        "└─ n.c container.id=c1",
    ]
    assert "10.0 ms" in lines[0]


def test_what_the_parent_says_is_not_said_again() -> None:
    attributes = {"container.id": "c1", "agent.stream": "stdin"}
    spans = [
        record("a", attributes={"container.id": "c1"}),
        record("b", "a", attributes=attributes),
        record("c", "b", attributes={"container.id": "c2"}),
    ]
    lines = [line.rpartition(" 0 ")[0].rstrip() for line in render(spans).splitlines()]
    assert lines == [
        "n.a container.id=c1",
        "└─ n.b stream=stdin",
        "   └─ n.c container.id=c2",
    ]


def test_nothing() -> None:
    assert render([]) == ""


def test_hostile_spans() -> None:
    """Circles, missing parents, doubles, terminal escapes and nonsense times."""
    spans = [
        record("a", "b"),
        record("b", "a"),
        record("c", "gone", start=2**64 - 1, end=0),
        record("c", "gone"),
        record("d", "d"),
        record("e", name="\x1b[2J" + "x" * 5000 + "\n"),
    ]
    text = render(spans)
    assert text.count("\n") == 5
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 110


def test_a_deep_chain() -> None:
    spans = [record(str(n), str(n - 1)) for n in range(5000)]
    assert render(spans).count("\n") == 5000
    assert build(spans)[0].span.span_id == "0"


def test_durations() -> None:
    assert format_duration(0) == "0 µs"
    assert format_duration(850_000) == "850 µs"
    assert format_duration(12_400_000) == "12.4 ms"
    assert format_duration(3_020_000_000) == "3.02 s"
    assert format_duration(412_000_000) == "412 ms"
