# SPDX-License-Identifier: Apache-2.0
"""docs/ttrpc/reference/ has every public name of ttrpc, as Python itself sees them."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.helpers.source_tree import ROOT

FOLDER: Final = ROOT / "docs" / "ttrpc" / "reference"
PAGES: Final = {
    "ttrpc": "ttrpc.md",
    "ttrpc.aio": "aio.md",
    "ttrpc.sync": "sync.md",
    "ttrpc.health": "health.md",
}
"""Modules whose `__all__` is public, and their pages."""
NAMES: Final = [
    *(
        (module, name)
        for module in PAGES
        for name in importlib.import_module(module).__all__
        if not name.startswith("_")
    ),
    ("ttrpc.aio.testing", "connected"),
]
SECTION: Final = re.compile(r"^(#+) ([^\n]+)\n\n(.*?)(?=^#|\Z)", re.M | re.S)


def sections(page: str) -> dict[str, str]:
    """Return the texts of a page by their headings."""
    text = (FOLDER / page).read_text()
    return {name: words(body) for _, name, body in SECTION.findall(text)}


def words(text: str) -> str:
    """Return a text without links and line breaks."""
    return " ".join(re.sub(r"\[(`[^`]+`)\]\([^)]*\)", r"\1", text).split())


def first_line(value: object) -> str:
    doc = inspect.getdoc(value)
    assert doc, value
    return words(doc.partition("\n\n")[0])


def members(value: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class has from ttrpc."""
    for name, member in inspect.getmembers(value):
        function = member.fget if isinstance(member, property) else member
        module = getattr(function, "__module__", None) or ""
        if not name.startswith("_") and module.split(".")[0] == "ttrpc":
            if callable(member) or isinstance(member, property):
                yield name, member


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_public_name_is_there_with_its_docstring(module: str, name: str) -> None:
    found = sections(PAGES.get(module, "aio.md"))
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value) and value.__module__.endswith("_pb2"):
        assert f"message {name} {{" in found[name]
    elif inspect.isclass(value):
        assert first_line(value) in found[name]
        for inner, member in members(value):
            # A method of a public base is on the base.
            owners = [it.__name__ for it in value.__mro__]
            headings = [it for owner in owners if (it := f"{owner}.{inner}") in found]
            assert first_line(member) in found[headings[0]]
    elif inspect.isfunction(value):
        assert first_line(value) in found[name]
    else:
        # A type alias, or a constant.
        assert name in found or f"- `{name}`: " in found["Constants"]


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda it: it.name)
def test_nothing_is_without_words(page: Any) -> None:
    text = page.read_text()
    assert not re.findall(r"^- `(?!OK = 0)[^`]*`(?:: *)?$", text, re.M)
    for _, name, body in SECTION.findall(text):
        assert re.sub(r"^```.*?^```$", "", body, flags=re.M | re.S).strip(), name


@pytest.mark.parametrize(
    ("page", "section", "shown"),
    [
        ("ttrpc.md", "Limits", "queued: int = 256 << 20"),
        ("ttrpc.md", "Limits", "- `message`: One message, in either direction."),
        ("ttrpc.md", "Closed", "A kind of `TtrpcError`, `ConnectionError`."),
        ("ttrpc.md", "OversizedMessage", "- `length`: Bytes of the message."),
        ("aio.md", "Client.connect", "- `Closed`: nobody listens there."),
        ("aio.md", "ClientStream.recv", "async def recv() -> MessageT | None"),
        ("health.md", "HealthCheckRequest", "Asks for the status of a service"),
    ],
)
def test_a_section_has_types_units_and_errors(
    page: str, section: str, shown: str
) -> None:
    assert shown in sections(page)[section]
