# SPDX-License-Identifier: Apache-2.0
"""The imports of a generated file, under names that nothing else there has."""

from __future__ import annotations

import keyword
from typing import Final

from ttrpc.plugin.names import Names

STANDARD: Final = (
    *("builtins", "collections", "importlib"),
    *("typing", "typing_extensions"),
)
"""Packages that make the first block of imports, as isort sorts them."""


class Imports:
    """Imports that run, and others that only type checkers read."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._locals: dict[tuple[str, str], str] = {}
        self._run: set[tuple[str, str]] = set()

    def symbol(self, module: str, name: str, *, local: str = "") -> str:
        """Import a name, as `local` if given; return what it is called here."""
        self._run.add((module, name))
        return self.type(module, name, local=local)

    def type(self, module: str, name: str, *, local: str = "") -> str:
        """Import a name for annotations; `builtins` has those that need no import."""
        return self._local((module, name), local or name)

    def module(self, module: str, *, run: bool = False) -> str:
        """Import a module; return `cat_pb2` for `pets.cat_pb2`, if that is free."""
        package, _, name = module.rpartition(".")
        if run:
            self._run.add((package, name))
        return self._local((package, name), name, module.replace(".", "_"))

    def _local(self, key: tuple[str, str], *wanted: str) -> str:
        if key not in self._locals:
            self._locals[key] = self._names.give(*wanted)
        return self._locals[key]

    def blocks(self, *, run: bool) -> list[list[str]]:
        """Return the lines that run, or the others, in blocks as isort makes them."""
        lines: dict[str, list[str]] = {}
        for (module, name), local in sorted(self._locals.items()):
            built_in = module == "builtins" and local == name
            if ((module, name) in self._run) is run and not built_in:
                lines.setdefault(module, []).append(renamed(name, local))
        blocks: dict[int, list[str]] = {}
        for module, names in lines.items():
            block = blocks.setdefault(_block(module or names[0]), [])
            if module:
                block.append(f"from {module} import {', '.join(names)}")
            else:
                block += [f"import {name}" for name in names]
        # `import a` comes before `from a import b`.
        return [
            sorted(block, key=lambda line: (line.startswith("from"), line))
            for _, block in sorted(blocks.items())
        ]


def _block(module: str) -> int:
    top = module.partition(".")[0]
    return 0 if top in STANDARD else 1 if top == "google" else 2


def renamed(name: str, local: str) -> str:
    """Return the words that import `name` as `local`."""
    return name if local == name else f"{name} as {local}"


def is_importable(path: str) -> bool:
    """Tell whether a Python expression can name `pets.cat_pb2.Cat`."""
    return all(
        part.isidentifier() and not keyword.iskeyword(part) for part in path.split(".")
    )
