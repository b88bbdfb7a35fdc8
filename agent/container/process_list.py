# SPDX-License-Identifier: Apache-2.0
"""A container's processes as 1.x clients want to see them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kata_agent.errors import Internal, InvalidArgument
from kata_agent.reaper import Reaper


async def list_processes(
    pids: Sequence[int], list_format: str, arguments: Sequence[str], reaper: Reaper
) -> bytes:
    """Return `json`, a list of pids, or `table`, the lines of ps that show them.

    Pids are those of the agent's pid namespace. `arguments` are for ps (man 1 ps).
    """
    if list_format == "json":
        return json.dumps(list(pids)).encode()
    if list_format != "table":
        raise InvalidArgument(
            f"process list: invalid format {list_format!r}, not json or table"
        )
    completed = await reaper.run(["ps", *(arguments or ["-ef"])])
    output = (completed.stdout + completed.stderr).decode(errors="replace")
    return filter_table(output, set(pids)).encode()


def filter_table(table: str, pids: set[int]) -> str:
    """Keep the header and the lines whose PID column is one of `pids`."""
    lines = [line for line in table.splitlines() if line.strip()]
    header = lines[0].split() if lines else []
    if "PID" not in header:
        raise Internal(f"process list: ps gave no PID column: {table[:200]!r}")
    column = header.index("PID")
    kept = [lines[0]]
    for line in lines[1:]:
        words = line.split()
        if len(words) <= column or not words[column].isdecimal():
            raise Internal(f"process list: ps gave no pid in line {line!r}")
        if int(words[column]) in pids:
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)
