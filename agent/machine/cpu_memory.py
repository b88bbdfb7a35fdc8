# SPDX-License-Identifier: Apache-2.0
"""CPUs and memory that the host plugs in: found in sysfs, and brought online.

A plugged CPU appears some time after the host has added it, and is off until the agent
writes to its `online` file (kernel, Documentation/core-api/cpu_hotplug.rst). The same
goes for a block of memory (Documentation/admin-guide/mm/memory-hotplug.rst).
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.errors import Internal, Timeout, Unimplemented
from kata_agent.system_paths import SystemPaths
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)

CPU_TIMEOUT: Final = 5.0
"""Seconds to wait for CPUs."""
PAUSE: Final = 0.05
"""Seconds between two looks at sysfs."""

CPU: Final = re.compile(r"cpu[0-9]+")
MEMORY: Final = re.compile(r"memory[0-9]+")


async def bring_online(paths: SystemPaths, cpus: int, *, cpu_only: bool) -> None:
    """Bring every CPU online until there are `cpus` in all, then all memory.

    `cpus` counts all CPUs, the boot CPU too; 0 means that no CPU was plugged in. The
    call may be repeated. Raises `Timeout` if there are fewer CPUs, or `OSError`.
    """
    directory = paths.sys / "devices/system/cpu"
    if cpus:
        with span("cpu.online", {semconv.CPUS: cpus}, subsystem="device"):
            await _bring_cpus_online(directory, cpus)
    if not cpu_only:
        with span("memory.online", subsystem="device"):
            await blocking(switch_on, paths.sys / "devices/system/memory", MEMORY)


async def _bring_cpus_online(directory: Path, cpus: int) -> None:
    deadline = time.monotonic() + CPU_TIMEOUT
    while (online := await blocking(switch_on, directory, CPU)) < cpus:
        if time.monotonic() >= deadline:
            raise Timeout(
                f"cpus: {online} of {cpus} came online within {CPU_TIMEOUT:g} s"
            )
        await asyncio.sleep(PAUSE)


def switch_on(directory: Path, pattern: re.Pattern[str]) -> int:
    """Switch on the CPUs, or memory blocks, in `directory` whose names match. Blocks.

    Returns the number that are on. A failure is logged, because the next attempt may
    succeed.
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
        # The boot CPU and boot memory have no such file, because they are always on.
        return True
    except OSError as error:
        log.warning("not online", extra={"file": str(file), "error": error.strerror})
        return False
    return True


def memory_block_size(paths: SystemPaths) -> int:
    """Return the bytes of one memory block; 0 means that no memory can be plugged.

    Blocks. Raises `Internal` or `OSError`.
    """
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
    """Tell whether the kernel must be told of new memory (`probe_memory`). Blocks.

    Where ACPI announces memory, a probe would add it a second time.
    """
    acpi = paths.sys / "firmware/acpi/hotplug/memory/enabled"
    try:
        if acpi.read_text().strip() == "1":
            return False
    except OSError:
        # There is no ACPI, or it does not announce memory.
        pass
    return _probe_file(paths).exists()


def probe_memory(paths: SystemPaths, addresses: Iterable[int]) -> None:
    """Tell the kernel of a block of memory at each physical address, in order. Blocks.

    Raises `OSError` at the first address that the kernel refuses, and `Unimplemented`
    if the kernel cannot be told.
    """
    probe = _probe_file(paths)
    for address in addresses:
        if not probe.exists():
            raise Unimplemented("memory: this kernel cannot be told to probe it")
        probe.write_text(f"{address:#x}")


def _probe_file(paths: SystemPaths) -> Path:
    return paths.sys / "devices/system/memory/probe"
