# SPDX-License-Identifier: Apache-2.0
"""The import table of ARCHITECTURE.md, read as rules."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.helpers.source_tree import ROOT, Module, imports, is_below

HEADING: Final = "## The import table"
_NAME: Final = re.compile(r"`([\w.]+)`")


@dataclass(frozen=True, slots=True)
class Rule:
    """A row: modules that may be imported beside the standard library, and never."""

    may: tuple[str, ...]
    never: tuple[str, ...]


def read_rules() -> Mapping[str, Rule]:
    """Return the rows by package. A package may always import itself."""
    page = (ROOT / "ARCHITECTURE.md").read_text()
    section = page.partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    rules = {}
    for line in section.splitlines():
        cells = line.strip().strip("|").split("|")
        packages = _NAME.findall(cells[0])
        if len(cells) == 3 and packages:
            may, never = _NAME.findall(cells[1]), _NAME.findall(cells[2])
            for package in packages:
                rules[package] = Rule((package, *may), tuple(never))
    return rules


def breaches(module: Module, rules: Mapping[str, Rule]) -> list[str]:
    """Return a line for each import of `module` that its rule forbids.

    Of several rules that fit, the one with the longest name counts.
    """
    rule = rules[max((name for name in rules if is_below(module.name, name)), key=len)]
    found = []
    for name in imports(module.tree):
        is_standard = name.partition(".")[0] in sys.stdlib_module_names
        allowed = is_standard or any(is_below(name, root) for root in rule.may)
        if not allowed or any(is_below(name, root) for root in rule.never):
            found.append(f"{module.name} imports {name}")
    return found
