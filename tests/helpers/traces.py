# SPDX-License-Identifier: Apache-2.0
"""All that a sandbox may leave behind, for tests inside `in_namespaces`."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

from kata_agent.reserve import THREADS


def traces() -> dict[str, object]:
    """Return all processes, descriptors, mounts, cgroups and files."""
    return {
        "processes": sorted(path.name for path in Path("/proc").glob("[0-9]*")),
        "threads": len(os.listdir("/proc/self/task")),
        # The watches share one descriptor, opened when it is first needed.
        "descriptors": [d for d in _descriptors() if "inotify" not in d],
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "cgroups": sorted(d for d, _, _ in os.walk("/sys/fs/cgroup")),
        "bundles": sorted(os.listdir("/run/kata-containers")),
        "runtime": sorted(os.listdir("/run/kata-agent/runtime")),
        "tasks": len(asyncio.all_tasks()),
    }


async def quiet_traces() -> dict[str, object]:
    """Return the traces once the threads of earlier calls have ended."""
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
    changed = {name: (before[name], after[name]) for name in before}
    assert not {name: pair for name, pair in changed.items() if pair[0] != pair[1]}


def _descriptors() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            # Pipes and sockets are numbered.
            found.append(os.readlink(f"/proc/self/fd/{number}").partition("[")[0])
    return sorted(found)
