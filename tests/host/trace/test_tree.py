# SPDX-License-Identifier: Apache-2.0
from kata_host.trace.received_span import ReceivedSpan, SpanStatus
from kata_host.trace.tree import format_duration, render_tree


def received(
    span: str, parent: str = "", start: int = 0, end: int = 10, **more
) -> ReceivedSpan:  # type: ignore[no-untyped-def]
    return ReceivedSpan(
        "t", span, parent, more.pop("name", f"n.{span}"), start, end, **more
    )


def test_children_are_below_their_parents_in_order() -> None:
    spans = [
        received("c", "a", 5, 8, attributes={"container.id": "c1"}),
        received(
            "b",
            "a",
            1,
            4,
            status=SpanStatus.ERROR,
            attributes={"error.type": "OSError"},
        ),
        received("a", "", 0, 10_000_000),
    ]
    lines = render_tree(spans, width=90).splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "n.a",
        "├─ n.b [OSError]",
        "└─ n.c container.id=c1",
    ]
    assert "10.0 ms" in lines[0]


def test_attributes_of_the_parent_are_left_out() -> None:
    attributes = {"container.id": "c1", "agent.stream": "stdin"}
    spans = [
        received("a", attributes={"container.id": "c1"}),
        received("b", "a", attributes=attributes),
        received("c", "b", attributes={"container.id": "c2"}),
    ]
    lines = [
        line.rpartition(" 0 ")[0].rstrip() for line in render_tree(spans).splitlines()
    ]
    assert lines == [
        "n.a container.id=c1",
        "└─ n.b stream=stdin",
        "   └─ n.c container.id=c2",
    ]


def test_no_spans_are_no_text() -> None:
    assert render_tree([]) == ""


def test_hostile_spans_are_shown_safely() -> None:
    """Circles, missing parents, doubles, terminal escapes and nonsense times."""
    spans = [
        received("a", "b"),
        received("b", "a"),
        received("c", "gone", start=2**64 - 1, end=0),
        received("c", "gone"),
        received("d", "d"),
        received("e", name="\x1b[2J" + "x" * 5000 + "\n"),
    ]
    text = render_tree(spans)
    assert text.count("\n") == 5
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 110


def test_a_deep_chain_is_cut_into_trees() -> None:
    spans = [received(str(n), str(n - 1)) for n in range(5000)]
    assert render_tree(spans).count("\n") == 5000


def test_durations_are_for_people() -> None:
    assert format_duration(0) == "0 µs"
    assert format_duration(850_000) == "850 µs"
    assert format_duration(12_400_000) == "12.4 ms"
    assert format_duration(3_020_000_000) == "3.02 s"
    assert format_duration(412_000_000) == "412 ms"


def test_names_are_whole_at_60_columns() -> None:
    """Bars become narrower, or are left out, before a name is cut."""
    call = "grpc.AgentService/CreateContainer"
    step = "container.create.runtime.wait"
    spans = [
        received("a", name=call, attributes={"container.id": "c" * 40}),
        received("b", "a", name="storage.add"),
        received("c", "b", name="storage.mount"),
        received("d", "c", name=step),
    ]
    lines = render_tree(spans, width=60).splitlines()
    assert call in lines[0]
    assert lines[3].startswith("      └─ " + step)
    assert max(map(len, lines)) <= 60
    assert "━" not in "".join(lines)
    (line,) = render_tree(spans[:1], width=60).splitlines()
    assert call in line
    assert "━" in line
    assert len(line) <= 60
