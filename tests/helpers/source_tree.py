# SPDX-License-Identifier: Apache-2.0
"""Our modules as syntax trees, for tests that read the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ROOT / "src"
PACKAGES: Final = ("kata_agent", "kata_host", "kata_protos", "kata_tracing", "ttrpc")
GENERATED: Final = ("_pb2.py", "_ttrpc.py")


@dataclass(frozen=True, eq=False, slots=True)
class Module:
    """A module of ours: its import name, its file and the text of the file."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def is_generated(self) -> bool:
        return self.path.name.endswith(GENERATED)

    @property
    def folder(self) -> Path:
        """The folder in the repository, such as `agent/storage`."""
        return self.path.resolve().parent.relative_to(ROOT)


@cache
def modules() -> Sequence[Module]:
    """Return every module of ours."""
    return [
        read_module(path)
        for package in PACKAGES
        for path in sorted((SOURCES / package).rglob("*.py"))
    ]


def read_module(path: Path) -> Module:
    """Return the module in `path`, which is below `src`."""
    parts = path.relative_to(SOURCES).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name, path, ast.parse(path.read_text()))


def is_below(name: str, root: str) -> bool:
    """Tell whether `name` is `root` or a module in it."""
    return name == root or name.startswith(f"{root}.")


def is_type_checking(node: ast.AST) -> bool:
    """Tell whether `node` is an `if TYPE_CHECKING`."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield every module that `tree` imports when it runs, at the top or inside."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                file = SOURCES / Path(*name.split("."))
                is_module = file.with_suffix(".py").exists() or file.is_dir()
                yield name if is_module else node.module
        elif not is_type_checking(node):
            yield from imports(node)
