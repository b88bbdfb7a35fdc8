# SPDX-License-Identifier: Apache-2.0
"""Write docs/ttrpc/reference/: the public names of ttrpc, from their docstrings.

python docs/tools/reference.py
"""

from __future__ import annotations

import itertools
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from definitions import Definition, define, doc_of, names_of

FOLDER: Final = Path(__file__).parents[1] / "ttrpc" / "reference"
NOTE: Final = (
    "Made by `docs/tools/reference.py` from the docstrings; a test keeps this page up "
    "to date."
)
SECTIONS: Final = ("Args", "Raises")
"""Parts of a docstring that are lists; each entry is a name, a colon and text."""

_SECTION: Final = re.compile(rf"^({'|'.join(SECTIONS)}):$", re.M)
_ENTRY: Final = re.compile(r"^(\S[^:\n]*): ", re.M)
_CODE: Final = re.compile(r"(?<![`\[])`([\w.]+)`(?![`\]])")


@dataclass(frozen=True)
class Part:
    """A module on a page."""

    module: str
    names: tuple[tuple[str, str], ...] = ()
    """The names with the modules that have them; none for the module's `__all__`."""
    also: tuple[tuple[str, str], ...] = ()
    """Further names, which signatures have."""

    def definitions(self) -> list[Definition]:
        """Read the definitions, in the order of their names."""
        names = self.names or [(self.module, it) for it in names_of(self.module)]
        found = [define(module, name) for module, name in (*names, *self.also)]
        return sorted(found, key=lambda it: it.name.lower())


CORE: Final = (
    ("ttrpc.client_connection", "ClientConnection"),
    ("ttrpc.client_connection", "ClientEvents"),
    ("ttrpc.frame_decoder", "FrameDecoder"),
    ("ttrpc.frame", "Oversized"),
    ("ttrpc.outbox", "Outbox"),
    ("ttrpc.routes", "Route"),
    ("ttrpc.routes", "Routes"),
    ("ttrpc.server_connection", "ServerConnection"),
    ("ttrpc.server_connection", "ServerEvents"),
    ("ttrpc.stream", "Stream"),
)
"""The classes that an I/O layer uses."""

PAGES: Final = {
    "ttrpc.md": (
        Part(
            "ttrpc",
            also=(
                ("ttrpc.address", "Address"),
                ("ttrpc.bound_service", "Handler"),
                ("ttrpc.metadata", "MetadataLike"),
            ),
        ),
    ),
    "aio.md": (
        Part("ttrpc.aio", also=(("ttrpc.aio.server", "ConnectionHook"),)),
        Part("ttrpc.aio.testing", names=(("ttrpc.aio.testing", "connected"),)),
    ),
    "sync.md": (Part("ttrpc.sync"),),
    "health.md": (Part("ttrpc.health"),),
    "core.md": (Part("", names=CORE),),
}
TITLES: Final = {"core.md": "The core without I/O"}
CORE_INTRODUCTION: Final = (
    "The classes that an I/O layer drives. [The core without I/O](../sansio.md) has "
    "the contract between the two, and the smallest server."
)

Links = dict[str, str]
"""Documented names, qualified ones too, and where they are."""


def anchor(name: str) -> str:
    """Return the anchor that Markdown gives a heading."""
    return re.sub(r"[^\w-]", "", name).lower()


def links_of(page: str) -> Links:
    """Return the links from a page: to its own names first, then as PAGES has them."""
    found: Links = {}
    for other in (page, *PAGES):
        for part in PAGES[other]:
            for definition in part.definitions():
                target = "" if other == page else other
                for it in (definition, *definition.members):
                    heading = "constants" if is_constant(it) else anchor(it.name)
                    link = f"{target}#{heading}"
                    found.setdefault(it.name, link)
                    found.setdefault(f"{part.module}.{it.name}", link)
    return found


def page(name: str) -> str:
    """Return a whole page."""
    links = links_of(name)
    parts = PAGES[name]
    title = TITLES.get(name, parts[0].module)
    introduction = CORE_INTRODUCTION if name == "core.md" else ""
    lines = [f"# {title}", NOTE, *filter(None, [introduction])]
    for part in parts:
        if part is not parts[0]:
            lines.append(f"# {part.module}")
        if part.module:
            lines.append(markdown(doc_of(part.module), links))
        definitions = part.definitions()
        constants = [it for it in definitions if is_constant(it)]
        described = [it for it in definitions if not is_constant(it)]
        lines.append("\n".join(["| | |", "|---|---|", *map(row, described)]))
        if constants:
            lines += ["## Constants", "\n".join(bullet(it, links) for it in constants)]
        for definition in described:
            lines += section(part, definition, links)
    return "\n\n".join(lines) + "\n"


def is_constant(definition: Definition) -> bool:
    """Tell whether a definition is a constant, which has no section of its own."""
    return ": Final" in definition.signature.partition("=")[0]


def bullet(definition: Definition, links: Links) -> str:
    """Return a constant as an entry of a list."""
    return f"- `{definition.name}`: {linked(one_line(definition.doc), links)}"


def row(definition: Definition) -> str:
    """Return the line of a table: a name and its first sentence."""
    name = definition.name
    return f"| [{name}](#{anchor(name)}) | {first_sentence(definition.doc)} |"


def first_sentence(doc: str) -> str:
    """Return the first sentence of a docstring, in one line."""
    paragraph = one_line(doc.partition("\n\n")[0])
    return re.split(r"(?<=[.:]) (?=[A-Z`])", paragraph)[0].replace("|", "\\|")


def section(part: Part, definition: Definition, links: Links) -> Iterator[str]:
    """Yield the paragraphs of a definition and of its members."""
    yield f"## {definition.name}"
    is_message = definition.signature.startswith("message ")
    yield code(definition.signature, "proto" if is_message else "python")
    if definition.module != part.module and not is_exported(part, definition):
        yield f"In `{definition.module}`."
    if definition.bases:
        bases = ", ".join(linked(f"`{base}`", links) for base in definition.bases)
        yield f"A kind of {bases}."
    if definition.doc:
        yield markdown(definition.doc, links)
    if definition.fields:
        yield "**Attributes**"
        yield "\n".join(
            f"- `{name}`: {linked(one_line(doc), links)}" if doc else f"- `{name}`"
            for name, doc in definition.fields.items()
        )
    for member in definition.members:
        yield f"### {member.name}"
        yield code(member.signature)
        if member.doc:
            yield markdown(member.doc, links)


def is_exported(part: Part, definition: Definition) -> bool:
    """Tell whether the module of the part has the name."""
    return not part.names and (definition.module, definition.name) not in part.also


def code(text: str, language: str = "python") -> str:
    """Return a block of code."""
    return f"```{language}\n{text}\n```"


def one_line(text: str) -> str:
    """Return a text without its line breaks."""
    return " ".join(text.split())


def markdown(doc: str, links: Links) -> str:
    """Return a docstring as Markdown: lists for its sections, blocks for its code."""
    text, *sections = _SECTION.split(doc)
    blocks = list(paragraphs(text, links))
    for name, entries in zip(sections[::2], sections[1::2], strict=True):
        entries, _, rest = textwrap.dedent(entries.strip("\n")).partition("\n\n")
        blocks += [f"**{name}**", items(entries, links)]
        if rest:
            blocks += paragraphs(textwrap.dedent(rest), links)
    return "\n\n".join(blocks)


def paragraphs(text: str, links: Links) -> Iterator[str]:
    """Yield the paragraphs of a text; indented ones that follow each other are code."""
    parts = text.strip("\n").split("\n\n")
    for is_code, group in itertools.groupby(parts, lambda it: it.startswith("    ")):
        if is_code:
            yield code(textwrap.dedent("\n\n".join(group)))
        else:
            yield from (linked(it.strip("\n"), links) for it in group)


def items(entries: str, links: Links) -> str:
    """Return `name: text` entries as a list."""
    parts = _ENTRY.split(entries)[1:]
    return "\n".join(
        f"- `{name}`: {linked(one_line(text), links)}"
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    )


def linked(text: str, links: Links) -> str:
    """Link the documented names in a text."""

    def link(match: re.Match[str]) -> str:
        target = links.get(match[1])
        return match[0] if target is None else f"[{match[0]}]({target})"

    return _CODE.sub(link, text)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in PAGES:
        (FOLDER / name).write_text(page(name))
    sys.exit(0)
