# SPDX-License-Identifier: Apache-2.0
"""The agent runs out of descriptors or of pids for a while.

A container's life is tried with each of a few numbers that are left; afterwards the
same name is used again with enough of them. Whatever fails in between is no fault.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.soak.scene import Scene
from bench.stage import agent_pid
from kata_host.client.spec import default_process
from ttrpc.errors import StatusError

MOST_LEFT: Final = 14
TRIES: Final = 4


async def fill_tables(scene: Scene) -> None:
    """Run out of each in turn. No other action may be under way in the guest."""
    for limited in (few_descriptors, few_pids):
        for _ in range(TRIES):
            with limited(scene, scene.random.randrange(MOST_LEFT)):
                await try_life(scene)
            await scene.remove()
            async with scene.started("true") as container:
                status = await container.init.wait()
                assert status == 0, status


async def try_life(scene: Scene) -> None:
    with contextlib.suppress(StatusError):
        await scene.client.create_container(
            scene.name, *scene.spec("sleep", "100000"), share_pids=False
        )
        container = scene.client.container(scene.name)
        await container.start()
        await container.exec("e1", default_process(["sleep", "100000"]))
        await container.remove()


@contextlib.contextmanager
def few_descriptors(scene: Scene, left: int) -> Iterator[None]:
    """Leave the agent so many descriptors for the block."""
    pid = agent_pid(scene.stage.guest)
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + left, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def few_pids(scene: Scene, left: int) -> Iterator[None]:
    """Leave the guest so many pids for the block, if its cgroup can limit them."""
    cgroup = pids_cgroup(agent_pid(scene.stage.guest))
    if cgroup is None:
        yield
        return
    used = int((cgroup / "pids.current").read_text())
    (cgroup / "pids.max").write_text(str(used + left))
    try:
        yield
    finally:
        (cgroup / "pids.max").write_text("max")


def pids_cgroup(pid: int) -> Path | None:
    """Return the v1 cgroup that limits the processes of a guest."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        # A guest of version 2 is in its host's own cgroup of version 1.
        if controllers == "pids" and "kata-local-" in path:
            return Path(f"/sys/fs/cgroup/pids{path}")
    return None
