# SPDX-License-Identifier: Apache-2.0
"""What a guest's agent and its host hold at one moment, and when that is flat.

Counts must be those of the first sample. The agent may never have more memory than
`CEILING`. No process may grow by `LEAK` or more with each action, as the second half of
the samples shows it beyond their noise: an interpreter takes its memory at the start.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.scale import differences
from bench.soak.growth import least_slope
from bench.stage import Footprint, Stage, agent_pid, footprint, resident
from kata_host.guest.local_guest import CONSOLE_NAME

CEILING: Final = 48 << 20
"""Bytes."""
LEAK: Final = 64.0
"""Bytes for each action, which is several calls: no object is smaller."""
WARM_UP: Final = 500
"""Actions after which the agent has the memory that it needs at once."""
PATIENCE: Final = 30.0
"""Seconds within which a quiet agent logs its backtraces."""
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a guest without a load."""

    actions: int
    """Those before it."""
    agent: Footprint
    tasks: tuple[str, ...]
    """Where each asyncio task of the agent waits."""
    host_descriptors: tuple[int, int]
    """Of the guest's supervisor and of this process, its client."""
    agent_bytes: int
    """Resident memory."""
    supervisor_bytes: int
    client_bytes: int

    def row(self) -> dict[str, str]:
        """Return what a table shows, by name."""
        return {
            "descriptors": str(len(self.agent.descriptors)),
            "threads": str(self.agent.threads),
            "tasks": str(len(self.tasks)),
            "children": str(self.agent.processes),
            "zombies": str(self.agent.zombies),
            "mounts": str(len(self.agent.mounts)),
            "cgroups": str(self.agent.cgroups),
            "files in /run": str(self.agent.files),
            "host's descriptors": "+".join(map(str, self.host_descriptors)),
            "agent, MiB": f"{self.agent_bytes / MIB:.1f}",
            "supervisor, MiB": f"{self.supervisor_bytes / MIB:.1f}",
            "client, MiB": f"{self.client_bytes / MIB:.1f}",
        }


def take_sample(stage: Stage, actions: int) -> Sample:
    """Look at a guest whose options have `agent.log=debug`. Blocks."""
    supervisor, client = stage.guest.pid, os.getpid()
    return Sample(
        actions,
        footprint(stage.guest),
        find_tasks(stage),
        (count_descriptors(supervisor), count_descriptors(client)),
        resident(agent_pid(stage.guest)),
        resident(supervisor),
        resident(client),
    )


def count_descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def find_tasks(stage: Stage) -> tuple[str, ...]:
    """Return the place of each asyncio task of the agent, which SIGUSR1 logs.

    Raises `TimeoutError` if the agent does not answer.
    """
    console = stage.guest.directory / CONSOLE_NAME
    seen = console.stat().st_size
    os.kill(agent_pid(stage.guest), signal.SIGUSR1)
    deadline = time.monotonic() + PATIENCE
    # The threads follow the tasks.
    while b"backtrace of a thread" not in (log := read_from(console, seen)):
        if time.monotonic() > deadline:
            raise TimeoutError("the agent does not log its backtraces")
        time.sleep(0.01)
    entries = [json.loads(line) for line in log.splitlines() if b"of a task" in line]
    places = (entry["frames"][:1] for entry in entries)
    return tuple(sorted(frames[0].rpartition("/")[2] for frames in places if frames))


def read_from(path: Path, position: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(position)
        return file.read()


def growths(first: Sample, last: Sample) -> dict[str, tuple[object, object]]:
    """Return the counts that differ, each with its value before and after."""
    found = differences(first.agent, last.agent)
    for name in ("tasks", "host_descriptors"):
        before, after = getattr(first, name), getattr(last, name)
        if before != after:
            found[name] = (before, after)
    return found


def memory_faults(samples: Sequence[Sample]) -> list[str]:
    """Return what is wrong with the memory in the samples of a soak."""
    faults = []
    most = max(sample.agent_bytes for sample in samples)
    if most > CEILING:
        faults.append(f"the agent had {most / MIB:.1f} MiB")
    late = late_samples(samples)
    for name in ("agent_bytes", "supervisor_bytes", "client_bytes"):
        slope = least_slope([(x.actions, getattr(x, name)) for x in late])
        if slope >= LEAK:
            faults.append(f"{name} grows by {slope:.0f} or more with each action")
    return faults


def late_samples(samples: Sequence[Sample]) -> list[Sample]:
    """Return those by which the growth is judged; under `FEWEST` tell nothing."""
    return [x for x in samples[len(samples) // 2 :] if x.actions > WARM_UP]
