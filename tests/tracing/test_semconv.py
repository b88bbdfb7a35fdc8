# SPDX-License-Identifier: Apache-2.0
"""TRACING.md lists the spans of the code with their attributes, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_tracing import semconv
from kata_tracing.setup import BOOT_SPAN
from tests.helpers.catalogue import ROOT, Row, in_page

MAKERS = ("span", "record")
PLAIN = {"subsystem", "start", "end"}
"""Arguments that are no attributes."""


def spans_of(tree: ast.AST) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yield name, subsystem and attributes of each span that `tree` makes.

    `<...>` stands for what varies. Attributes that are set later, `step.set(...)`,
    count for the one span of their function.
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        calls = list(calls_of(node))
        made = [it for it in calls if name_of(it.func) in MAKERS]
        later = {
            text_of(it.args[0])
            for it in calls
            if isinstance(it.func, ast.Attribute)
            and it.func.attr == "set"
            and name_of(it.func.value) == "step"
        }
        assert not later or len(made) == 1, f"{node.name}: whose attributes?"
        for call in made:
            arguments = {it.arg: it.value for it in call.keywords if it.arg}
            given = set(arguments) - PLAIN
            for them in [
                *call.args[1:],
                *(it.value for it in call.keywords if it.arg is None),
            ]:
                assert isinstance(them, ast.Dict), "attributes are literal"
                given |= {text_of(key) for key in them.keys if key}
            subsystem = text_of(arguments["subsystem"])
            yield text_of(call.args[0]), subsystem, frozenset(given | later)


def calls_of(function: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls in a function, but not those of functions inside it."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from calls_of(node)


def name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def text_of(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "<...>"
            for part in node.values
        )
    assert isinstance(node, ast.Constant), "names and keys are literals"
    return str(node.value)


def in_code() -> set[Row]:
    found = {(BOOT_SPAN, "agent", "agent/main.py", frozenset({semconv.SOURCE}))}
    for path in (ROOT / "agent").rglob("*.py"):
        file = str(path.relative_to(ROOT))
        for name, subsystem, attributes in spans_of(ast.parse(path.read_text())):
            found.add((name, subsystem, file, attributes))
    return found


def test_the_catalogue_is_the_code() -> None:
    assert in_page() == in_code()


def test_names_are_noun_and_verb() -> None:
    for name, _, _, _ in in_code():
        assert re.fullmatch(r"[a-z_]+\.([a-z_-]+|<\.\.\.>)", name), name


def test_no_attribute_can_hold_what_is_secret() -> None:
    """Ids, names, sizes and numbers; no word of an argument or a variable."""
    for name, _, _, attributes in in_code():
        for key in attributes:
            assert not re.search("arg|env|cmd|command|data|payload|option", key), name


@pytest.mark.parametrize(
    "key",
    [
        value
        for name, value in vars(semconv).items()
        if name.isupper() and isinstance(value, str)
    ],
)
def test_keys_have_the_form_of_opentelemetry(key: str) -> None:
    """Lower case, words and dots; `api-category` is Kata 1.x's."""
    assert re.fullmatch(r"[a-z_]+([.-][a-z_]+)*", key)


def test_opentelemetrys_keys_are_its_own() -> None:
    """Each key outside `agent.*` that spans carry is one of its conventions."""
    import opentelemetry.semconv as conventions

    root = Path(next(iter(conventions.__path__)))
    known = {
        key
        for file in root.rglob("*_attributes.py")
        for key in re.findall(r'= "([a-z_.]+)"', file.read_text())
    }
    ours = {key for _, _, _, attributes in in_code() for key in attributes}
    ours |= {
        semconv.RPC_METHOD,
        semconv.RPC_SYSTEM_NAME,
        semconv.RPC_RESPONSE_STATUS_CODE,
        semconv.ERROR_TYPE,
        semconv.SERVICE_NAME,
        semconv.SERVICE_INSTANCE_ID,
        semconv.HOST_ARCH,
        semconv.OS_TYPE,
    }
    foreign = {key for key in ours if not key.startswith("agent.")}
    assert foreign - known == {semconv.SOURCE}
