# SPDX-License-Identifier: Apache-2.0
"""Circles of imports among our modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.helpers.source_tree import Module, imports, is_below


def find_circles(modules: Iterable[Module]) -> list[list[str]]:
    """Return each set of modules that import one another, directly or by a detour.

    An import of `a.b.c` also runs `a/__init__.py` and `a/b/__init__.py`, so that a
    circle may pass through those; a module's own packages are running already.
    """
    names = {module.name for module in modules}
    graph: dict[str, set[str]] = {}
    for module in modules:
        graph[module.name] = {
            ancestor
            for name in imports(module.tree)
            for ancestor in _with_packages(name)
            if ancestor in names and not is_below(module.name, ancestor)
        }
    return circles_of(graph)


def circles_of(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return each set of names in `graph` that lead to one another."""
    reached = {name: _reachable(graph, name) for name in graph}
    circles = {
        tuple(sorted({name, *(n for n in reached[name] if name in reached[n])}))
        for name in graph
        if name in reached[name]
    }
    return sorted(map(list, circles))


def _with_packages(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found
