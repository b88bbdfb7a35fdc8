# SPDX-License-Identifier: Apache-2.0
"""A local guest with a sandbox and busybox's root, for loads on containers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kata_agent.reserve import THREADS
from kata_host.child import module_command
from kata_host.client import AgentClient, GuestContainer
from kata_host.client.spec import default_process, default_spec
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.guest import AGENT_PORT
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2, oci_pb2

LASTING_THREADS: Final = 2 + THREADS
"""The agent's main thread, the one that writes the log, and the reserve."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A guest, a connection to its agent, and a root for containers."""

    guest: LocalGuest
    client: AgentClient
    rootfs: Path

    @property
    def agent_socket(self) -> Path:
        """The agent's own socket, without the local guest's relay before it."""
        return Path(f"{self.guest.socket}.d", str(AGENT_PORT))

    def spec(self, name: str, *args: str, rootfs: str = "") -> oci_pb2.Spec:
        root = rootfs or str(self.rootfs)
        return default_spec(name, default_process(args), rootfs=root)

    async def created(
        self, name: str, *args: str, ports: Mapping[str, int] | None = None
    ) -> GuestContainer:
        """Create a container; `ports` are the host's ports of its streams."""
        request = agent_pb2.CreateContainerRequest(
            container_id=name, exec_id=name, OCI=self.spec(name, *args)
        )
        for stream, port in (ports or {}).items():
            setattr(request, f"{stream}_port", port)
        await self.client.agent.create_container(request)
        return self.client.container(name)

    async def started(
        self, name: str, *args: str, ports: Mapping[str, int] | None = None
    ) -> GuestContainer:
        """Create and start a container."""
        container = await self.created(name, *args, ports=ports)
        await container.start()
        return container


@contextlib.asynccontextmanager
async def open_stage(
    command: Sequence[str] = (*module_command("kata_agent"),),
    **options: Any,
) -> AsyncIterator[Stage]:
    """Start a guest whose agent is `command`, with a sandbox, for the `with` block.

    `options` are those of `LocalGuest`.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        rootfs = make_busybox(Path(name) / "rootfs")
        with LocalGuest(Path(name) / "guest", command=command, **options) as guest:
            address = f"unix://{guest.socket}.d/{AGENT_PORT}"
            async with AgentClient.connect(address) as client:
                await client.create_sandbox("bench", share_pids=False)
                yield Stage(guest, client, rootfs)
                await client.destroy_sandbox()


def agent_pid(guest: LocalGuest) -> int:
    """Return the pid that a local guest's PID 1, the agent, has on the host."""
    return first_process_below(guest.pid)


def first_process_below(holder: int) -> int:
    """Return the pid of the PID 1 of the guest that a process holds."""
    waiting = [holder]
    while waiting:
        pid = waiting.pop()
        status = Path(f"/proc/{pid}/status").read_text()
        (line,) = [each for each in status.splitlines() if each.startswith("NSpid:")]
        if len(line.split()) > 2 and line.split()[-1] == "1":
            return pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        waiting += map(int, children.split())
    raise RuntimeError(f"guest {holder} has no PID 1")


@dataclass(frozen=True, slots=True)
class Footprint:
    """The resources that the agent holds, seen from the host."""

    descriptors: list[str]
    mounts: list[str]
    processes: int
    zombies: int
    threads: int
    cgroups: int
    files: int
    """Files below the guest's /run: bundles, states, sockets."""


def footprint(guest: LocalGuest) -> Footprint:
    """Return the footprint of a guest's agent."""
    pid = agent_pid(guest)
    proc = Path("/proc", str(pid))
    children = children_of(pid)
    # The path through its root leads into the guest's own mount namespace.
    cgroups = proc / "root/sys/fs/cgroup"
    return Footprint(
        descriptors_of(pid),
        mount_points_of(pid),
        len(children),
        sum(_is_zombie(child) for child in children),
        len(list((proc / "task").iterdir())),
        sum(len(directories) for _, directories, _ in os.walk(cgroups)),
        sum(len(files) for _, _, files in os.walk(proc / "root/run")),
    )


def children_of(pid: int) -> list[str]:
    """Return the pids of a process's children."""
    children = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # A thread may have ended meanwhile.
        with contextlib.suppress(OSError):
            children += (thread / "children").read_text().split()
    return children


def descriptors_of(pid: int) -> list[str]:
    """Return what a process has open, sorted: paths, and kinds such as `pipe:`."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        # One may have been closed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(fd).partition("[")[0])
    return sorted(found)


def mount_points_of(pid: int) -> list[str]:
    """Return the mount points of a process's mount namespace, in the kernel's order."""
    mounts = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in mounts]


async def quiet_footprint(guest: LocalGuest) -> Footprint:
    """Return the footprint once the threads of earlier calls have ended.

    Such a thread ends a moment after the response of its call.
    """
    while True:
        now = footprint(guest)
        if now.threads <= LASTING_THREADS:
            return now
        await asyncio.sleep(0.01)


def _is_zombie(pid: str) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return "State:\tZ" in status


def resident(pid: int) -> int:
    """Return a process's resident memory in bytes (VmRSS, man 5 proc)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) << 10
