# SPDX-License-Identifier: Apache-2.0
"""The tree is what ARCHITECTURE.md says: who imports whom, and where the tests are.

The table below is that page's import table. A name stands for itself and for all
below it; of several entries that fit a module, the longest counts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = ROOT / "src"
PACKAGES: Final = ("kata_protos", "ttrpc", "kata_tracing", "kata_agent", "kata_host")
OURS: Final = frozenset(PACKAGES)


@dataclass(frozen=True, slots=True)
class Rule:
    """What modules may import: of ours a white list, of others a black list."""

    ours: tuple[str, ...]
    never: tuple[str, ...] = ()


WAITING: Final = ("asyncio", "socket", "select", "selectors", "time", "threading")
TELEMETRY: Final = ("opentelemetry", "jaeger_client", "thrift")

RULES: Final[dict[str, Rule]] = {
    "kata_protos": Rule(ours=("kata_protos", "ttrpc"), never=TELEMETRY),
    "ttrpc": Rule(
        ours=("ttrpc",),
        never=(*WAITING, *TELEMETRY, "construct", "ttrpc.aio", "ttrpc.sync"),
    ),
    "ttrpc.frame": Rule(
        ours=("ttrpc",), never=(*WAITING, *TELEMETRY, "ttrpc.aio", "ttrpc.sync")
    ),
    "ttrpc.aio": Rule(ours=("ttrpc",), never=TELEMETRY),
    "ttrpc.sync": Rule(ours=("ttrpc",), never=TELEMETRY),
    "kata_tracing": Rule(
        ours=("kata_tracing", "ttrpc"), never=("ttrpc.aio", "ttrpc.sync")
    ),
    "kata_agent": Rule(
        ours=(
            "kata_agent",
            "kata_protos",
            "kata_tracing.span",
            "kata_tracing.counters",
            "ttrpc.codes",
        ),
        never=("ttrpc.aio", "kata_agent.rpc", "kata_agent.main"),
    ),
    "kata_agent.main": Rule(
        ours=("kata_agent", "kata_protos", "kata_tracing", "ttrpc")
    ),
    "kata_agent.__main__": Rule(ours=("kata_agent",)),
    "kata_agent.linux": Rule(
        ours=("kata_agent.linux",), never=("asyncio", "logging", *TELEMETRY)
    ),
    "kata_agent.rpc": Rule(
        ours=("kata_agent", "kata_protos", "kata_tracing", "ttrpc"),
        never=("kata_agent.main", "kata_agent.linux"),
    ),
    "kata_host": Rule(
        ours=(
            "kata_host",
            "kata_agent.version",
            "kata_protos",
            "kata_tracing",
            "ttrpc",
        )
    ),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCES).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    return sorted(
        path
        for package in PACKAGES
        for path in (SOURCES / package).rglob("*.py")
        if not path.name.endswith("_pb2.py")
    )


def is_below(name: str, root: str) -> bool:
    return name == root or name.startswith(f"{root}.")


def rule_for(module: str) -> Rule:
    fitting = [root for root in RULES if is_below(module, root)]
    return RULES[max(fitting, key=len)]


def is_type_checking(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that `tree` imports when it runs, at the top or inside."""
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
        elif not (isinstance(node, ast.stmt) and is_type_checking(node)):
            yield from imports(node)


def breaches(module: str, source: str) -> list[str]:
    rule = rule_for(module)
    found = []
    for name in imports(ast.parse(source)):
        of_ours = name.split(".")[0] in OURS
        allowed = not of_ours or any(is_below(name, root) for root in rule.ours)
        if not allowed or any(is_below(name, root) for root in rule.never):
            found.append(f"{module} imports {name}")
    return found


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_imports_follow_the_table(path: Path) -> None:
    assert not breaches(module_name(path), path.read_text())


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ttrpc.connection", "import asyncio"),
        ("ttrpc.connection", "from construct import Struct"),
        ("ttrpc.frame", "def f():\n    import opentelemetry.trace"),
        ("kata_agent.linux.mount", "from kata_agent.errors import NotFound"),
        ("kata_agent.sandbox", "from kata_agent.rpc import status"),
        ("kata_agent.sandbox", "import kata_host"),
        ("kata_agent.rpc.stdio", "from kata_agent.linux.mount import mount"),
        ("kata_tracing.span", "import kata_agent"),
        ("kata_host.guest.vm_guest", "from kata_agent.sandbox import Sandbox"),
    ],
)
def test_a_breach_is_seen(module: str, source: str) -> None:
    assert breaches(module, source)


def test_every_test_module_names_a_module() -> None:
    """`tests/agent/test_x.py` tests `agent/x.py`, or the package `agent/x/`."""
    strays = []
    for package in ("agent", "host", "protos", "tracing", "ttrpc"):
        for test in (ROOT / "tests" / package).rglob("test_*.py"):
            inside = test.parent.relative_to(ROOT / "tests")
            if {"conformance"} & set(inside.parts):
                continue
            subject = test.stem.removeprefix("test_")
            folder = ROOT / inside
            if not (
                (folder / f"{subject}.py").exists()
                or (folder / f"__{subject}__.py").exists()
                or (folder / subject).is_dir()
                or (folder.name == subject and folder.is_dir())
            ):
                strays.append(str(test.relative_to(ROOT)))
    allowed = {
        "tests/protos/test_descriptors.py",
        "tests/protos/test_generated.py",
    }
    assert set(strays) <= allowed


def test_hand_written_files_are_short() -> None:
    """A file of over 600 lines has more than one idea in it."""
    long = {
        str(path.relative_to(SOURCES)): count
        for path in sources()
        if not path.name.endswith("_ttrpc.py")
        and (count := len(path.read_text().splitlines())) > 600
    }
    assert not long
