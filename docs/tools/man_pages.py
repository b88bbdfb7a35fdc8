# SPDX-License-Identifier: Apache-2.0
"""Manual pages from a program's parser, by argparse-manpage: one for each command.

`man kata-agent-ctl run` opens `kata-agent-ctl-run.1`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from argparse_manpage.manpage import Manpage
from commands import commands

from kata_agent.version import VERSION

DATE: Final = "November 28, 2026"
"""The version's and not the build's: the same sources give the same bytes."""
UNWRAPPED: Final = "100000"
"""Columns: a line that roff fills must not begin with a quote or a full stop."""


def man_pages(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page: `kata-agent-ctl-run`."""
    os.environ["COLUMNS"] = UNWRAPPED
    found = list(commands(parser))
    names = ["-".join([parser.prog, *command.split()]) for command, _ in found]
    summaries = _summaries(parser)
    for name, (command, each) in zip(names, found, strict=True):
        summary = summaries.get(command) or _summary(str(each.description))
        yield name, _page(name, each, summary, _related(name, names))


def write_man_pages(parser: argparse.ArgumentParser, prefix: Path) -> None:
    """Write the pages of a program into the folders of a prefix (/usr)."""
    directory = prefix / "share/man/man1"
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in man_pages(parser):
        (directory / f"{name}.1").write_text(text)


def _summaries(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return what the help of its superior says of each command."""
    return {
        f"{command} {choice.dest}".strip(): str(choice.help)
        for command, each in commands(parser)
        for action in each._actions
        if isinstance(action, argparse._SubParsersAction)
        for choice in action._choices_actions
    }


def _summary(description: str) -> str:
    """Return a description as the line of an index."""
    return description[:1].lower() + description[1:].rstrip(".")


def _related(name: str, names: list[str]) -> list[str]:
    """Return the page above, and those right below."""
    above = [other for other in names if name.startswith(f"{other}-")][-1:]
    below = [
        other
        for other in names
        if other.startswith(f"{name}-") and "-" not in other.removeprefix(f"{name}-")
    ]
    return above + below


def _page(
    name: str, parser: argparse.ArgumentParser, summary: str, related: list[str]
) -> str:
    page = Manpage(parser)
    page.prog, page.description = name, summary
    page.date = DATE
    page.source, page.manual = f"kata-agent {VERSION}", "Kata agent"
    page.synopsis = _synopsis(parser)
    epilog, parser.epilog = parser.epilog or "", None
    for heading, text in _sections(epilog):
        page.add_section(heading, ">", text)
    if related:
        links = ", ".join(f".BR {_escape(other)} (1)" for other in related)
        page.add_section("SEE ALSO", ">", links.replace(", ", " ,\n"))
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            # Each has a page; in this one is the list alone.
            action.choices.clear()
    lines = str(page).replace(".SH\n", ".SH ").splitlines()
    return "".join(f"{line}\n" for line in _paragraphs(lines))


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Yield the lines, with an empty one between two paragraphs as roff wants it."""
    for line, following in pairwise([*lines, "."]):
        if line.strip():
            yield line.rstrip()
        elif not following.startswith("."):
            yield ".PP"


def _synopsis(parser: argparse.ArgumentParser) -> list[str]:
    """Return the usage, of which argparse-manpage shows the first word in bold."""
    usages = parser.format_usage().partition(":")[2].strip().splitlines()
    lines = [_escape(usage.strip()) for usage in usages]
    text = "\n.br\n".join(lines).removeprefix(_escape(parser.prog))
    return [parser.prog, text.strip()]


def _sections(epilog: str) -> Iterator[tuple[str, str]]:
    """Split an epilog into text and examples, which are indented."""
    paragraphs = epilog.split("\n\n") if epilog else []
    notes = [each for each in paragraphs if not _is_example(each)]
    if notes and len(notes[-1]) < 80 and len(notes) < len(paragraphs):
        # "Examples:", which is the heading here.
        notes.pop()
    if notes:
        text = "\n.PP\n".join(_escape(" ".join(each.split())) for each in notes)
        yield "NOTES", text
    for example in filter(_is_example, paragraphs):
        lines = (f"\\&{_escape(line.strip())}" for line in example.splitlines())
        yield "EXAMPLES", "\n".join([".nf", *lines, ".fi"])


def _is_example(paragraph: str) -> bool:
    return paragraph.startswith("  ")


def _escape(text: str) -> str:
    """Return text that roff prints as it is."""
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
