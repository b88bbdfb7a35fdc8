# SPDX-License-Identifier: Apache-2.0
"""Modules import one another as ARCHITECTURE.md says, and never in a circle."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.import_circles import circles_of, find_circles
from tests.helpers.import_table import breaches, read_rules
from tests.helpers.public_names import exported_names
from tests.helpers.source_tree import PACKAGES, SOURCES, Module, imports, modules

WRITTEN: Final = [module for module in modules() if not module.is_generated]
LONGEST: Final = 450
"""Lines. A longer file has more than one idea in it."""


def name_of(module: Module) -> str:
    return module.name


def planted(name: str, source: str) -> Module:
    """Return a module that is not there."""
    return Module(name, Path(name), ast.parse(source))


@pytest.mark.parametrize("module", modules(), ids=name_of)
def test_imports_follow_the_table(module: Module) -> None:
    assert not breaches(module, read_rules())


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("ttrpc.connection", "import asyncio"),
        ("ttrpc.connection", "from construct import Struct"),
        ("ttrpc.frame", "def f():\n    import opentelemetry.trace"),
        ("kata_agent.linux.mount", "from kata_agent.errors import NotFound"),
        ("kata_agent.sandbox.sandbox", "from kata_agent.rpc import status"),
        ("kata_agent.sandbox.sandbox", "import kata_host"),
        ("kata_agent.rpc.stdio", "from kata_agent.linux.mount import mount"),
        ("kata_tracing.span", "import kata_agent"),
        ("kata_host.guest.vm_guest", "from kata_agent.errors import NotFound"),
    ],
)
def test_a_breach_of_the_table_is_seen(name: str, source: str) -> None:
    assert breaches(planted(name, source), read_rules())


def test_the_table_has_every_package() -> None:
    assert set(PACKAGES) <= set(read_rules())


def test_no_imports_run_in_a_circle() -> None:
    assert not find_circles(modules())


def package_of(name: str) -> str:
    """Return `kata_agent.storage` for `kata_agent.storage.bind`, a file for itself."""
    package = ".".join(name.split(".")[:2])
    return package if (SOURCES / package.replace(".", "/")).is_dir() else name


def test_no_imports_among_packages_run_in_a_circle() -> None:
    """A package is read after the packages that it builds on."""
    graph: dict[str, set[str]] = {}
    for module in modules():
        package = package_of(module.name)
        others = map(package_of, imports(module.tree))
        graph.setdefault(package, set()).update(
            name for name in others if name != package
        )
    assert not circles_of({name: used & graph.keys() for name, used in graph.items()})


def test_a_circle_through_a_package_is_seen() -> None:
    circle = [
        planted("a", "from a.one import x"),
        planted("a.one", "import b.two"),
        planted("b", ""),
        planted("b.two", "import a.one"),
    ]
    assert find_circles(circle) == [["a", "a.one", "b.two"]]


@pytest.mark.parametrize(
    "module", [module for module in WRITTEN if module.is_package], ids=name_of
)
def test_an_init_holds_names_and_no_logic(module: Module) -> None:
    """A docstring, imports, `__all__`, and the functions that import on first use."""
    lazy = {"__getattr__", "__dir__"}
    logic = [
        ast.unparse(node)
        for node in module.tree.body
        if isinstance(node, ast.ClassDef | ast.For | ast.While | ast.With | ast.Try)
        or (isinstance(node, ast.FunctionDef) and node.name not in lazy)
        or isinstance(node, ast.AsyncFunctionDef)
    ]
    assert not logic


@pytest.mark.parametrize(
    "module", [module for module in modules() if module.is_package], ids=name_of
)
def test_no_module_is_hidden_by_a_name_of_its_package(module: Module) -> None:
    below = {path.stem for path in module.path.parent.glob("*.py")}
    bound = {
        alias.asname or alias.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module != module.name
        for alias in node.names
    }
    assert not (bound | exported_names(module.tree)) & below


@pytest.mark.parametrize("module", WRITTEN, ids=name_of)
def test_a_file_is_short(module: Module) -> None:
    assert len(module.path.read_text().splitlines()) <= LONGEST
