# SPDX-License-Identifier: Apache-2.0
"""`ephemeral`: memory as a file system, a tmpfs or huge pages."""

from __future__ import annotations

import re
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.errors import InvalidArgument
from kata_agent.linux.mount_options import parse_options
from kata_agent.storage.driver_context import DriverContext
from kata_agent.storage.group import own_by_group, split_group
from kata_protos.agent_pb2 import Storage

SIZE: Final = re.compile(r"([0-9]+)([kKmMgG]?)")
UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


async def add(storage: Storage, context: DriverContext) -> None:
    """Mount a `tmpfs` or, after reserving the pages, a `hugetlbfs` (`fstype`).

    Options: those of mount(8) and of the file system (tmpfs(5); kernel,
    admin-guide/mm/hugetlbpage.rst), each alone or several in one string. `hugetlbfs`
    needs `pagesize=` and `size=`, in bytes or with K, M or G. `fsgid=GID` gives the
    directory to that group.
    """
    options, group = split_group(storage.options)
    if storage.fstype == "hugetlbfs":
        page_size, size = parse_sizes(options)
        await context.keep(context.huge_pages.reserve, page_size, size)
    source = storage.source or storage.fstype
    await context.mount(storage, source, parse_options(options))
    if group is not None:
        await blocking(own_by_group, context.mount_point_of(storage), group)


def parse_sizes(options: list[str]) -> tuple[int, int]:
    """Return `pagesize=` and `size=` in bytes. Raises `InvalidArgument`."""
    values = dict(option.partition("=")[::2] for option in options)
    sizes = []
    for key in ("pagesize", "size"):
        match = SIZE.fullmatch(values.get(key, ""))
        number = int(match[1]) * UNITS[match[2].lower()] if match else 0
        if number == 0:
            raise InvalidArgument(f"huge pages: no {key} in {options}")
        sizes.append(number)
    return sizes[0], sizes[1]
