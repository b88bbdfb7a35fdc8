# SPDX-License-Identifier: Apache-2.0
"""The memory of the machine, out of /proc/meminfo (man 5 proc_meminfo)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kata_agent.errors import Internal


def parse_memory_info(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each line; a value keeps its unit (`kB`).

    A line that does not consist of a name, one colon and a value is left out.
    """
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        value = value.strip()
        if colon and value and ":" not in value:
            yield name, value


def read_memory_total(file: Path) -> str:
    """Return the machine's memory with its unit, such as `2047000 kB`. Blocks.

    Raises `Internal` if the file does not say, or `OSError`.
    """
    for name, value in parse_memory_info(file.read_text()):
        if name == "MemTotal":
            return value
    raise Internal(f"{file}: no MemTotal")
