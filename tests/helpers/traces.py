# SPDX-License-Identifier: Apache-2.0
"""All that a sandbox may leave behind, for tests inside `in_namespaces`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import Iterator
from pathlib import Path

from kata_agent.reserve import THREADS


def traces() -> dict[str, object]:
    """Return all processes, descriptors, mounts, cgroups and files, by name."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        "processes": sorted(_processes()),
        "threads": len(os.listdir("/proc/self/task")),
        # The watches share one descriptor, opened when it is first needed.
        "descriptors": [d for d in _descriptors() if "inotify" not in d],
        # The numbers of mounts change when a sandbox is made again.
        "mounts": sorted(line.split()[4] for line in mounts),
        "cgroups": sorted(d for d, _, _ in os.walk("/sys/fs/cgroup")),
        "bundles": sorted(os.listdir("/run/kata-containers")),
        "runtime": sorted(os.listdir("/run/kata-agent/runtime")),
        "tasks": len(asyncio.all_tasks()),
    }


async def quiet_traces() -> dict[str, object]:
    """Return the traces once the threads of earlier calls have ended.

    What earlier tests in this process have left to the garbage collector goes first.
    """
    gc.collect()
    while len(os.listdir("/proc/self/task")) > 1 + THREADS:
        await asyncio.sleep(0.001)
    return traces()


async def wait_for_traces(before: dict[str, object]) -> None:
    """Wait until all is as before: the last orphans and threads end by themselves."""
    for _ in range(1000):
        if traces() == before:
            return
        await asyncio.sleep(0.01)
    after = traces()
    changed = [
        f"{name}: {before[name]} became {after[name]}"
        for name in before
        if before[name] != after[name]
    ]
    assert not changed, "; ".join(changed)


def _processes() -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield file.read_text().strip()


def _descriptors() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            # Pipes and sockets are numbered.
            found.append(os.readlink(f"/proc/self/fd/{number}").partition("[")[0])
    return sorted(found)
