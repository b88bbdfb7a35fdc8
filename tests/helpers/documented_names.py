# SPDX-License-Identifier: Apache-2.0
"""Paths, modules and functions that Markdown names in backticks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests.helpers.source_tree import PACKAGES, ROOT, SOURCES

_CODE: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_FENCE: Final = re.compile(r"^```.*?^```$", re.M | re.S)
_FOLDERS: Final = tuple(
    f"{name}/"
    for name in (
        *("agent", "host", "protos", "tracing", "ttrpc", "src", "tests", "docs"),
        *("examples", "bench", "fuzz", "packaging", ".ci"),
    )
)
_PATH: Final = re.compile(r"[\w./-]+")
_REFERENCE: Final = re.compile(r"([\w./-]+\.py):([\w.]+)")
_MODULE: Final = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")


def names(page: Path) -> Iterator[str]:
    """Yield all that `page` has in backticks, outside of blocks of code."""
    yield from _CODE.findall(_FENCE.sub("", page.read_text()))


def is_missing(name: str) -> bool:
    """Tell whether `name` looks like a part of this repository and is not there.

    A path begins with a folder of the repository (`agent/reaper.py`); a function or
    class follows its file (`agent/reaper.py:Reaper.spawn`); a module goes by its
    import name (`kata_host.client`), also with a name in it.
    """
    if reference := _REFERENCE.fullmatch(name):
        path = ROOT / reference[1]
        return not path.is_file() or reference[2] not in definitions(path)
    if name.startswith(_FOLDERS) and _PATH.fullmatch(name):
        return not (ROOT / name).exists()
    if _MODULE.fullmatch(name):
        return not is_importable(name)
    return False


def is_importable(name: str) -> bool:
    """Tell whether `name` is a module, or is defined or imported in one."""
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        folder = SOURCES.joinpath(*parts[:size])
        rest = ".".join(parts[size:])
        for file in (folder.with_suffix(".py"), folder / "__init__.py"):
            if file.is_file():
                return not rest or rest in definitions(file)
    return False


@cache
def definitions(path: Path) -> frozenset[str]:
    """Return the names that a file defines or imports, methods as `Class.method`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.ClassDef(name=name, body=body):
                found |= {name, *(f"{name}.{inner}" for inner in _bound(body))}
            case ast.ImportFrom(names=aliases):
                found |= {alias.asname or alias.name for alias in aliases}
            case ast.If(body=body):
                found |= {
                    alias.asname or alias.name
                    for inner in body
                    if isinstance(inner, ast.ImportFrom)
                    for alias in inner.names
                }
            case _:
                found |= set(_bound([node]))
    return frozenset(found)


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
