# SPDX-License-Identifier: Apache-2.0
"""A list of a container's processes, in the two formats of 1.x clients."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kata_agent.blocking import blocking
from kata_agent.cgroup.cgroup import Cgroup
from kata_agent.completed import Completed
from kata_agent.errors import Internal, InvalidArgument
from kata_agent.reaper import Reaper


async def list_processes(
    cgroup: Cgroup, list_format: str, arguments: Sequence[str], reaper: Reaper
) -> bytes:
    """Return the list in `list_format`.

    `json` is an array of pids. `table` is the output of ps, header included, without
    the lines of other processes; `arguments` are for ps (man 1 ps). Pids are those of
    the agent's pid namespace. Raises `InvalidArgument` for another format.
    """
    if list_format == "json":
        return await blocking(lambda: json.dumps(cgroup.pids()).encode())
    if list_format != "table":
        raise InvalidArgument(
            f"process list: invalid format {list_format!r}, not json or table"
        )
    pids = set(await blocking(cgroup.pids))
    completed = await reaper.run(["ps", *(arguments or ["-ef"])])
    return await blocking(_to_table, completed, pids)


def _to_table(completed: Completed, pids: set[int]) -> bytes:
    output = (completed.stdout + completed.stderr).decode(errors="replace")
    return filter_table(output, pids).encode()


def filter_table(table: str, pids: set[int]) -> str:
    """Keep the header and the lines whose PID column is one of `pids`.

    Raises `Internal` for a table without such a column.
    """
    lines = [line for line in table.splitlines() if line.strip()]
    header = lines[0].split() if lines else []
    if "PID" not in header:
        raise Internal(
            f"process list: no PID column in the output of ps: {table[:200]!r}"
        )
    column = header.index("PID")
    kept = [lines[0]]
    for line in lines[1:]:
        words = line.split()
        if len(words) <= column or not words[column].isdecimal():
            raise Internal(f"process list: no pid in the line of ps {line!r}")
        if int(words[column]) in pids:
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)
