# SPDX-License-Identifier: Apache-2.0
"""Attribute keys are constants of `semconv`; TRACING.md lists all spans and keys."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_tracing import semconv
from kata_tracing.tracing import BOOT_SPAN
from tests.helpers.catalogue import ROOT, Row, in_page
from tests.helpers.source_tree import Module, imports, modules

MAKERS = ("span", "add_span")
CONSTANTS = {name: value for name, value in vars(semconv).items() if name.isupper()}
KEYS = [value for value in CONSTANTS.values() if isinstance(value, str)]


def spans_of(tree: ast.AST) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yield name, subsystem and attribute keys of each span that `tree` makes.

    `<...>` stands for the part of a name that varies. Attributes that are set later,
    by `step.set_attribute(...)`, count for the one span of their function.
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        calls = list(calls_of(node))
        made = [it for it in calls if name_of(it.func) in MAKERS]
        later = {
            key_of(it.args[0])
            for it in calls
            if isinstance(it.func, ast.Attribute)
            and it.func.attr == "set_attribute"
            and name_of(it.func.value) == "step"
        }
        assert not later or len(made) == 1, f"{node.name}: attributes of which span?"
        for call in made:
            name, *attributes = call.args
            keys: set[str] = set()
            for given in attributes:
                assert isinstance(given, ast.Dict), "attributes are literal"
                keys |= {key_of(key) for key in given.keys if key}
            (subsystem,) = (
                text_of(it.value) for it in call.keywords if it.arg == "subsystem"
            )
            yield text_of(name), subsystem, frozenset(keys | later)


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


def key_of(node: ast.expr) -> str:
    assert is_constant_of_semconv(node), f"a literal key: {ast.unparse(node)}"
    assert isinstance(node, ast.Attribute)
    return str(CONSTANTS[node.attr])


def is_constant_of_semconv(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and name_of(node.value) == "semconv"


def text_of(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "<...>"
            for part in node.values
        )
    assert isinstance(node, ast.Constant), "a name is a literal"
    return str(node.value)


def in_code() -> set[Row]:
    found = {(BOOT_SPAN, "agent", "agent/main.py", frozenset({semconv.SOURCE}))}
    for path in (ROOT / "agent").rglob("*.py"):
        file = str(path.relative_to(ROOT))
        for name, subsystem, attributes in spans_of(ast.parse(path.read_text())):
            found.add((name, subsystem, file, attributes))
    return found


def test_the_catalogue_agrees_with_the_code() -> None:
    assert in_page() == in_code()


def test_names_are_noun_and_verb() -> None:
    for name, _, _, _ in in_code():
        assert re.fullmatch(r"[a-z_]+\.([a-z_-]+|<\.\.\.>)", name), name


def test_no_attribute_can_hold_a_secret() -> None:
    """Keys are of ids, names, sizes and numbers, not of arguments or variables."""
    for name, _, _, attributes in in_code():
        for key in attributes:
            assert not re.search("arg|env|cmd|command|data|payload|option", key), name


def keys_in_calls(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield each key that `tree` gives to a span, ours or OpenTelemetry's."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if called == "set_attribute":
            yield node.args[0]
        elif called == "start_as_current_span" or name_of(node.func) in MAKERS:
            for given in [*node.args, *(it.value for it in node.keywords)]:
                if isinstance(given, ast.Dict):
                    yield from (key for key in given.keys if key)


def literal_keys(tree: ast.AST) -> list[str]:
    return [
        f"line {key.lineno}: {ast.unparse(key)}"
        for key in keys_in_calls(tree)
        if isinstance(key, ast.Constant | ast.JoinedStr)
    ]


@pytest.mark.parametrize("module", modules(), ids=lambda it: it.name)
def test_no_key_is_a_literal(module: Module) -> None:
    assert not literal_keys(module.tree)


@pytest.mark.parametrize(
    "source",
    [
        'span("a.b", {"container.id": it}, subsystem="container")',
        'add_span("a.b", {f"agent.{it}": 1}, subsystem="container", start=0)',
        'step.set_attribute("process.exit.code", 1)',
        'tracer.start_as_current_span("a.b", attributes={"rpc.method": it})',
    ],
)
def test_a_literal_key_is_seen(source: str) -> None:
    assert len(literal_keys(ast.parse(source))) == 1


def test_every_constant_has_a_user() -> None:
    used = {
        node.attr
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and is_constant_of_semconv(node)
    }
    assert set(CONSTANTS) - used == set()


def test_the_constants_cost_no_import() -> None:
    (module,) = (it for it in modules() if it.name == "kata_tracing.semconv")
    assert set(imports(module.tree)) == {"__future__", "typing"}


@pytest.mark.parametrize("key", KEYS)
def test_keys_have_the_form_of_opentelemetry(key: str) -> None:
    """Lower case, words and dots; `api-category` is Kata 1.x's."""
    assert re.fullmatch(r"[a-z_]+([.-][a-z_]+)*", key)


def test_opentelemetrys_keys_are_its_own() -> None:
    """Each key of a span outside `agent.*` is one of its conventions."""
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
