# SPDX-License-Identifier: Apache-2.0
"""`ephemeral`: memory as a file system, a tmpfs or huge pages."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.errors import Internal, InvalidArgument
from kata_agent.linux.mount import parse_options
from kata_agent.storage.context import Site
from kata_agent.storage.group import own_by_group, split_group
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Storage

SIZE: Final = re.compile(r"([0-9]+)([kKmMgG]?)")
UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


async def add(storage: Storage, site: Site) -> None:
    """Mount memory; `fsgid=GROUP` among the options is ours, the rest the kernel's."""
    options, group = split_group(list(storage.options))
    if storage.fstype == "hugetlbfs":
        page, size = parse_sizes(options)
        await site.keep(reserve, site.paths, page, size)
    await site.mount(storage, storage.source or storage.fstype, parse_options(options))
    if group is not None:
        await blocking(own_by_group, site.place_of(storage), group)


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


def reserve(paths: SystemPaths, page: int, size: int) -> ExitStack:
    """Have the kernel set aside `size` bytes of huge pages. Blocks.

    The pool is never made smaller: others may count on what is there.
    """
    pool = paths.sys / f"kernel/mm/hugepages/hugepages-{page >> 10}kB/nr_hugepages"
    wanted = size // page
    try:
        before = int(pool.read_text())
    except FileNotFoundError:
        raise InvalidArgument(f"huge pages: no pages of {page} bytes") from None
    with ExitStack() as undo:
        if before < wanted:
            undo.callback(_set_pool, pool, before)
            _set_pool(pool, wanted)
            if (got := int(pool.read_text())) < wanted:
                raise Internal(f"huge pages: got {got} of {wanted} pages of {page}")
        return undo.pop_all()


def _set_pool(pool: Path, pages: int) -> None:
    pool.write_text(str(pages))
