# SPDX-License-Identifier: Apache-2.0
"""TRACING.md lists the spans of the code, neither more nor fewer."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tracing.setup import BOOT_SPAN

ROOT = Path(__file__).parents[2]


def spans_of(source: str) -> Iterator[tuple[str, str]]:
    """Name and subsystem of each `span(...)` call; `<...>` stands for what varies."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id == "span":
            (subsystem,) = (it.value for it in node.keywords if it.arg == "subsystem")
            yield text_of(node.args[0]), text_of(subsystem)


def text_of(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "<...>"
            for part in node.values
        )
    assert isinstance(node, ast.Constant), "a span's name is a literal"
    return str(node.value)


def in_code() -> set[tuple[str, str, str]]:
    found = {(BOOT_SPAN, "agent", "agent/main.py")}
    for path in (ROOT / "agent").rglob("*.py"):
        for name, subsystem in spans_of(path.read_text()):
            found.add((name, subsystem, str(path.relative_to(ROOT))))
    return found


def in_page() -> set[tuple[str, str, str]]:
    text = (ROOT / "TRACING.md").read_text()
    return set(re.findall(r"^\| `([^`]+)` \| (\S+) \| `([^`]+)` \|$", text, re.M))


def test_the_catalogue_is_the_code() -> None:
    assert in_page() == in_code()


def test_names_are_noun_and_verb() -> None:
    for name, _, _ in in_code():
        assert re.fullmatch(r"[a-z_]+\.([a-z_-]+|<\.\.\.>)", name), name
