# SPDX-License-Identifier: Apache-2.0
"""The names that modules define, and those that anything uses."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


def defined_names(tree: ast.Module) -> Iterator[str]:
    """Yield the public names of a module, and `Class.method` of its public classes."""
    for node in tree.body:
        if isinstance(node, (*Function, ast.ClassDef)):
            names = [node.name]
        elif isinstance(node, ast.AnnAssign | ast.Assign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
        else:
            continue
        for name in names:
            if not name.startswith("_"):
                yield name
                if isinstance(node, ast.ClassDef) and not _extends_others(node):
                    yield from (f"{name}.{method}" for method in _methods(node))


def _methods(node: ast.ClassDef) -> Iterator[str]:
    for part in node.body:
        if isinstance(part, Function) and not part.name.startswith("_"):
            yield part.name


def _extends_others(node: ast.ClassDef) -> bool:
    """Tell whether the class is called through a base: a service's or a library's."""
    bases = [base for base in node.bases if not isinstance(base, ast.Subscript)]
    return any(ast.unparse(base) not in ("Protocol", "Exception") for base in bases)


def used_names(trees: Iterable[ast.AST]) -> set[str]:
    """Return every name that is read, called or asked for by a string."""
    found = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.update(node.value.split("."))
    return found


def exported_names(tree: ast.Module) -> set[str]:
    """Return the strings of a module's `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()
