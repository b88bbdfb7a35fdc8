# SPDX-License-Identifier: Apache-2.0
"""A class is found by its name, a name has a user, a module has its test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.helpers.public_names import defined_names, exported_names, used_names
from tests.helpers.source_tree import ROOT, Module, modules

WRITTEN: Final = [module for module in modules() if not module.is_generated]
PUBLIC: Final = (
    *("ttrpc", "ttrpc.aio", "ttrpc.sync"),
    *("kata_host", "kata_host.client", "kata_host.sync"),
)
"""Packages whose `__all__` is for programs that are not here."""
USED_ELSEWHERE: Final = {
    "connected": "programs that use ttrpc call it in their tests",
    "get_loop": "asyncio calls it on each awaited future",
}


def name_of(module: Module) -> str:
    return module.name


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def fits(name: str, stem: str) -> bool:
    """Tell whether one of the two names opens or closes the other."""
    long, short = sorted((name, stem), key=len, reverse=True)
    return f"_{long}_".startswith(f"_{short}_") or f"_{long}_".endswith(f"_{short}_")


def is_value(node: ast.ClassDef) -> bool:
    """Tell whether a class is data: a dataclass, an enum, an error, a Protocol."""
    marks = " ".join(map(ast.unparse, [*node.decorator_list, *node.bases]))
    words = r"dataclass|Enum|Flag|NamedTuple|Protocol|Exception|Error|TypedDict"
    return bool(re.search(words, marks))


@pytest.mark.parametrize("module", WRITTEN, ids=name_of)
def test_a_class_is_in_a_file_of_its_name(module: Module) -> None:
    """`memory.py` may hold `GuestMemory`: one class, and the file is easy to guess."""
    classes = [
        snake_case(node.name)
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and not is_value(node)
    ]
    if module.path.stem == "errors":
        return
    assert len(classes) <= 1
    assert all(fits(name, module.path.stem) for name in classes)


def test_every_public_name_has_a_user_that_is_no_test() -> None:
    """A function that nothing calls is a promise that nothing keeps."""
    programs = [
        ast.parse(path.read_text())
        for folder in ("bench", "fuzz", "examples")
        for path in (ROOT / folder).rglob("*.py")
    ]
    used = used_names([*(module.tree for module in modules()), *programs])
    exported = {
        name
        for module in modules()
        if module.name in PUBLIC
        for name in exported_names(module.tree)
    }
    unused = [
        f"{module.name}: {name}"
        for module in WRITTEN
        for name in defined_names(module.tree)
        if name.rpartition(".")[2] not in used | USED_ELSEWHERE.keys()
        and name.partition(".")[0] not in exported
    ]
    assert not unused


def has_logic(module: Module) -> bool:
    """Tell whether a module does anything: values have nothing to test."""
    return any(
        isinstance(statement, ast.stmt)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in node.body
        if not isinstance(statement, ast.Expr | ast.Pass)
    )


def untested() -> Iterator[str]:
    for module in WRITTEN:
        test = ROOT / "tests" / module.folder / f"test_{module.path.stem.strip('_')}.py"
        if not module.is_package and has_logic(module) and not test.exists():
            yield str(test.relative_to(ROOT))


def test_every_module_has_its_test() -> None:
    assert not list(untested())


def test_every_test_names_its_module() -> None:
    """`tests/ttrpc/test_x.py` tests `ttrpc/x.py`, `test_ttrpc.py` the package."""
    strays = []
    for folder in ("agent", "host", "tracing", "ttrpc"):
        for test in (ROOT / "tests" / folder).rglob("test_*.py"):
            inside = test.parent.relative_to(ROOT / "tests")
            subject = test.stem.removeprefix("test_")
            is_module = (ROOT / inside / f"{subject}.py").exists()
            is_special = (ROOT / inside / f"__{subject}__.py").exists()
            is_package = subject == test.parent.name
            if not (
                is_module or is_special or is_package or "conformance" in inside.parts
            ):
                strays.append(str(test.relative_to(ROOT)))
    assert not strays
