# SPDX-License-Identifier: Apache-2.0
"""Rounds of load on one guest: actions side by side, a full table, a sample."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

from bench.soak import harm, load
from bench.soak.faulty_crun import make_faulty_crun
from bench.soak.full_tables import fill_tables
from bench.soak.growth import FEWEST
from bench.soak.sample import (
    MIB,
    Sample,
    growths,
    late_samples,
    memory_faults,
    take_sample,
)
from bench.soak.scene import Scene
from bench.stage import Stage, open_stage
from kata_host.child import module_command
from kata_host.guest.local_guest import PATH

Action = Callable[[Scene], Awaitable[None]]

ACTIONS: Final[Sequence[Action]] = (*load.ACTIONS, *harm.ACTIONS)
WORKERS: Final = 4
"""Actions at once in a guest."""
ROUNDS: Final = 40
SHORTEST_ROUND: Final = 2.0
"""Seconds of load in a round."""
LONGEST_ACTION: Final = 60.0
"""Seconds, on a busy machine."""
SETTLING: Final = 10.0
"""Seconds within which the last orphans and threads end."""


class Soak:
    """The soak of one guest: what it did, and what went wrong.

    Faults are printed and kept, not raised.
    """

    def __init__(self, version: str, stage: Stage, random: Random) -> None:
        self.version = version
        self.counts: collections.Counter[str] = collections.Counter()
        self.samples: list[Sample] = []
        self.faults: list[str] = []
        self._stage = stage
        self._random = random
        self._pause_lock = asyncio.Lock()
        self._names = itertools.count()

    async def warm_up(self) -> None:
        """Do everything once in each slot, because the agent keeps some of it."""
        for slot in range(WORKERS):
            for action in ACTIONS:
                await self._act(action, slot)
        await self._act(fill_tables, 0)

    async def load(self, seconds: float) -> None:
        """Let the workers act side by side for some `seconds`; then fill the tables."""
        end = time.monotonic() + seconds

        async def work(slot: int) -> None:
            while time.monotonic() < end:
                await self._act(self._random.choice(ACTIONS), slot)

        await asyncio.gather(*map(work, range(WORKERS)))
        await self._act(fill_tables, 0)

    async def look(self) -> None:
        """Take a sample of the guest when it is quiet; compare it with the first."""
        deadline = time.monotonic() + SETTLING
        while True:
            sample = await asyncio.to_thread(
                take_sample, self._stage, self.counts.total()
            )
            found = growths(self.samples[0], sample) if self.samples else {}
            if not found or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.1)
        if found:
            self._note(f"sample {len(self.samples) + 1}: {found}")
        self.samples.append(sample)

    def conclude(self) -> None:
        """Judge the memory of all samples, or say that there are too few for that."""
        if len(late_samples(self.samples)) < FEWEST:
            print(f"{self.version}: too few actions to tell whether memory grows")
        for fault in memory_faults(self.samples):
            self._note(fault)

    def _note(self, fault: str) -> None:
        print(f"{self.version}: {fault}", flush=True)
        self.faults.append(fault)

    def summary(self) -> str:
        """Return a line about the last sample."""
        memory = self.samples[-1].agent_bytes / MIB
        return (
            f"{self.version} sample {len(self.samples)}: {self.counts.total():,} "
            f"actions, {len(self.faults)} faults, agent {memory:.1f} MiB"
        )

    async def _act(self, action: Action, slot: int) -> None:
        name = f"s{next(self._names)}"
        scene = Scene(self._stage, name, slot, self._random, self._pause_lock)
        try:
            async with asyncio.timeout(LONGEST_ACTION):
                await action(scene)
        except Exception as error:
            self._note(f"{action.__name__} of {name}: {error!r}")
            # The next actions and samples must not suffer from it.
            with contextlib.suppress(Exception):
                await scene.remove()
        self.counts[action.__name__] += 1


@contextlib.asynccontextmanager
async def open_guest(
    version: str, agent: Sequence[str] = (*module_command("kata_agent"),)
) -> AsyncIterator[Stage]:
    """Start a guest with a crun that goes wrong on demand, for the block.

    `agent` is the agent's command.
    """
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        programs = Path(directory, "bin")
        make_faulty_crun(programs)
        async with open_stage(
            agent,
            cgroup=version,
            # SIGUSR1 logs the tasks; the level keeps the log small.
            parameters=["agent.log=debug"],
            environment={"PATH": f"{programs}:{PATH}", "KATA_AGENT_LOG_LEVEL": "warn"},
        ) as stage:
            yield stage
