# SPDX-License-Identifier: Apache-2.0
"""CPUs and memory that the host plugs in: bring them online, let containers use them.

A plugged CPU appears some time after the host has added it, and is off until somebody
writes to its `online` file (Documentation/core-api/cpu_hotplug.rst); so is a block of
memory (Documentation/admin-guide/mm/memory-hotplug.rst).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from agent.blocking import blocking
from agent.errors import Internal, Timeout
from agent.paths import SystemPaths
from tracing.span import span

log = logging.getLogger(__name__)

TRIES: Final = 100
PAUSE_SECONDS: Final = 0.05

CPU: Final = re.compile(r"cpu[0-9]+")
MEMORY: Final = re.compile(r"memory[0-9]+")


async def bring_online(paths: SystemPaths, cpus: int, *, cpu_only: bool) -> None:
    """Bring every CPU online until there are `cpus`, then all memory.

    Only CPUs that can be switched count, so not the boot CPU of most machines; those
    that are online already do. Raises `Timeout` when they do not appear.
    """
    directory = paths.sys / "devices/system/cpu"
    if cpus:
        with span("cpu.online", subsystem="device", **{"agent.cpus": cpus}):
            await _bring_cpus_online(directory, cpus)
    if not cpu_only:
        with span("memory.online", subsystem="device"):
            await blocking(switch_on, paths.sys / "devices/system/memory", MEMORY)


async def _bring_cpus_online(directory: Path, cpus: int) -> None:
    online = 0
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE_SECONDS)
        online = await blocking(switch_on, directory, CPU)
        if online >= cpus:
            return
    seconds = TRIES * PAUSE_SECONDS
    raise Timeout(f"cpus: {online} of {cpus} came online within {seconds:g} s")


def switch_on(directory: Path, pattern: re.Pattern[str]) -> int:
    """Switch on what matches in `directory`; return how many are on. Blocks.

    One that refuses is logged: the next attempt may succeed.
    """
    return sum(_is_on_now(file) for file in _switches(directory, pattern))


def _switches(directory: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    try:
        entries = sorted(directory.iterdir())
    except FileNotFoundError:
        return
    for entry in entries:
        if pattern.fullmatch(entry.name):
            yield entry / "online"


def _is_on_now(file: Path) -> bool:
    try:
        if file.read_text().strip() == "0":
            file.write_text("1")
    except FileNotFoundError:
        # What was there when the machine started cannot be switched.
        return False
    except OSError as error:
        log.warning("not online", extra={"file": file, "error": error.strerror})
        return False
    return True


def memory_block_size(paths: SystemPaths) -> int:
    """Return how many bytes of memory are plugged at a time, 0 where none can be."""
    file = paths.sys / "devices/system/memory/block_size_bytes"
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        return 0
    try:
        # Hexadecimal without a prefix.
        return int(text, 16)
    except ValueError as error:
        raise Internal(f"{file}: not a size: {text!r}") from error


def has_memory_probe(paths: SystemPaths) -> bool:
    """Tell whether the kernel must be told of new memory (`probe_memory`).

    Where ACPI announces it, to probe it too would add it twice.
    """
    acpi = paths.sys / "firmware/acpi/hotplug/memory/enabled"
    try:
        if acpi.read_text().strip() == "1":
            return False
    except OSError:
        # No ACPI, or one that does not say: then the probe file is what there is.
        pass
    return _probe_file(paths).exists()


def probe_memory(paths: SystemPaths, addresses: Iterable[int]) -> None:
    """Tell the kernel of a block of memory at each physical address, in order.

    Blocks. Raises `OSError` at the first that it refuses.
    """
    for address in addresses:
        _probe_file(paths).write_text(f"{address:#x}")


def _probe_file(paths: SystemPaths) -> Path:
    return paths.sys / "devices/system/memory/probe"
