# SPDX-License-Identifier: Apache-2.0
"""Write docs/states.md: every state machine of the code, drawn from its own table.

    python docs/tools/states.py

A module with a state machine has a table `TRANSITIONS`, from (state, event) to state,
over two enums. The first member of the enum of states is where the machine begins.
"""

from __future__ import annotations

import enum
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "states.md"
PACKAGES: Final = ("ttrpc", "kata_tracing", "kata_agent", "kata_host")
TABLE: Final = "TRANSITIONS"

INTRODUCTION: Final = """\
# State machines

Made by `docs/tools/states.py` from the tables in the code; a test keeps this page up
to date. Each machine is an enum of states and one table `TRANSITIONS`, and one method
advances it. An arrow is one entry of that table: the state before, the event, the
state after.
"""

Table = dict[tuple[enum.Enum, enum.Enum], enum.Enum]


def modules() -> list[ModuleType]:
    """Import every module whose source has a table of transitions, by name."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / "src" / package).rglob("*.py")):
            if any(line.startswith(TABLE) for line in path.read_text().splitlines()):
                parts = path.relative_to(ROOT / "src").with_suffix("").parts
                found.append(importlib.import_module(".".join(parts)))
    return found


def source_of(module: ModuleType) -> str:
    """Return the path of a module's file in the repository: `agent/reaper.py`."""
    assert module.__file__ is not None
    return str(Path(module.__file__).resolve().relative_to(ROOT))


def diagram(table: Table) -> list[str]:
    """Return a table as the lines of a Mermaid diagram."""
    first_state = next(iter(table))[0]
    begin = next(iter(type(first_state)))
    leaves_from = {before for before, _ in table}
    arrows: dict[tuple[enum.Enum, enum.Enum], list[str]] = {}
    for (before, event), after in table.items():
        arrows.setdefault((before, after), []).append(event.name)
    ends = [state for state in type(first_state) if state not in leaves_from]
    return [
        "stateDiagram-v2",
        f"    [*] --> {begin.name}",
        *(
            f"    {before.name} --> {after.name}: {', '.join(events)}"
            for (before, after), events in arrows.items()
        ),
        *(f"    {state.name} --> [*]" for state in ends),
    ]


def section(module: ModuleType) -> str:
    """Return the heading, the words of the module's docstring, and the diagram."""
    table: Table = getattr(module, TABLE)
    state = type(next(iter(table))[0])
    source = source_of(module)
    name = state.__name__.removesuffix("State") or Path(source).stem.capitalize()
    words = inspect.cleandoc(module.__doc__ or "")
    lines = [
        f"## {name}",
        "",
        f"[`{source}`](../{source})",
        "",
        words,
        "",
        "```mermaid",
        *diagram(table),
        "```",
    ]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *(section(module) for module in modules())])


if __name__ == "__main__":
    PAGE.write_text(page())
