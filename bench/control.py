# SPDX-License-Identifier: Apache-2.0
"""The control path while everything around it hangs: `python -m bench.control`.

The bench times `Check` and `SignalProcess` in turn, over a connection of their own:
first of an idle agent, then with all of these under way at once:

- 200 long polls: WaitProcess, ReadStdout, ReadStderr, GetOOMEvent
- a frozen container
- a FUSE file system that never answers, with a process that hangs in it, a container
  whose root file system is in it, and GetVolumeStats of it
- a process that writes to a full pipe, and input for a process that does not read
- a peer that asks for metrics 200 times and reads no response

Fails, and says so, if a 99th percentile is over the limit. With `--write` the table
goes to `bench/README.md`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Final

from bench.document import replace_section
from bench.stage import Stage, open_stage
from kata_host.client import AgentClient
from kata_host.client.spec import default_process
from kata_protos import agent_pb2, oci_pb2
from ttrpc.envelope_pb2 import Request
from ttrpc.frame import Frame, MessageType

CALLS: Final = 3000
POLLS: Final = 200
UNREAD: Final = 200
"""Requests whose responses of some 28 KB each are not read."""
LIMIT_MS: Final = 10.0
FUSE: Final = (10, 229)
"""Documentation/admin-guide/devices.txt, "/dev/fuse"."""
HANG: Final = (
    # No process reads descriptor 3, so no request of the kernel is ever answered.
    "exec 3<>/dev/fuse && mkdir /dev/shm/dead && "
    "mount -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead /dev/shm/dead && "
    "echo mounted && exec ls /dev/shm/dead"
)


@contextlib.asynccontextmanager
async def burden(stage: Stage) -> AsyncIterator[None]:
    """Make the agent wait for everything that may hang, for the `with` block."""
    client = stage.client
    pending: list[asyncio.Task[Any]] = []

    def begin(call: Coroutine[Any, Any, Any]) -> None:
        pending.append(asyncio.create_task(call))

    sleeper = await stage.started("polled", "sleep", "100000")
    for number in range(POLLS // 4):
        process = await sleeper.exec(f"e{number}", default_process(["sleep", "100000"]))
        begin(process.wait())
        begin(first(process.read_stdout()))
        begin(first(process.read_stderr()))
        begin(client.agent.get_oom_event(agent_pb2.GetOOMEventRequest()))

    frozen = await stage.started("frozen", "sh", "-c", "while :; do :; done")
    await client.agent.pause_container(
        agent_pb2.PauseContainerRequest(container_id=frozen.id)
    )

    dead = await hang_in_fuse(stage)
    begin(
        client.agent.get_volume_stats(
            agent_pb2.VolumeStatsRequest(volume_guest_path=dead)
        )
    )
    begin(
        client.create_container(
            "on-dead-root",
            stage.spec("on-dead-root", "true", rootfs=dead),
            share_pids=False,
        )
    )

    await stage.started("full", "yes")
    begin(sleeper.init.write_stdin(bytes(4 << 20)))

    with unread(stage):
        try:
            yield
            # A call that has ended was no burden.
            assert not any(task.done() for task in pending), pending
        finally:
            # This ends the calls that hang in its file system too.
            await client.container("dead").remove()
            for name in ("full", "frozen", "polled"):
                await client.container(name).remove()
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)


async def first(output: AsyncIterator[bytes]) -> bytes:
    return await anext(output)


async def hang_in_fuse(stage: Stage) -> str:
    """Start container `dead` with a process that hangs in a FUSE file system.

    Returns the agent's path to that file system.
    """
    spec = stage.spec("dead", "sh", "-c", HANG)
    for capabilities in (
        spec.Process.Capabilities.Bounding,
        spec.Process.Capabilities.Effective,
        spec.Process.Capabilities.Permitted,
    ):
        capabilities.append("CAP_SYS_ADMIN")
    major, minor = FUSE
    spec.Linux.Devices.append(
        oci_pb2.LinuxDevice(Path="/dev/fuse", Type="c", Major=major, Minor=minor)
    )
    spec.Linux.Resources.Devices.append(
        oci_pb2.LinuxDeviceCgroup(
            Allow=True, Type="c", Major=major, Minor=minor, Access="rwm"
        )
    )
    container = await stage.client.create_container("dead", spec, share_pids=False)
    await container.start()
    output = await anext(container.init.read_stdout())
    assert output == b"mounted\n", output
    listed = await stage.client.agent.list_processes(
        agent_pb2.ListProcessesRequest(container_id="dead", format="json")
    )
    (pid,) = map(int, listed.process_list.strip(b"[]").split(b","))
    return f"/proc/{pid}/root/dev/shm/dead"


@contextlib.contextmanager
def unread(stage: Stage) -> Iterator[None]:
    """Connect a peer that requests far more than a socket holds, and reads nothing."""
    body = Request(service="grpc.AgentService", method="GetMetrics").SerializeToString()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(stage.agent_socket))
        for number in range(UNREAD):
            stream_id = 2 * number + 1
            frame = Frame(stream_id, MessageType.REQUEST, 0, body)
            peer.sendall(frame.serialize())
        yield


async def measure(stage: Stage, calls: int = CALLS) -> dict[str, list[float]]:
    """Return the seconds of all calls, by the name of the method."""
    found: dict[str, list[float]] = {"Check": [], "SignalProcess": []}
    address = f"unix://{stage.agent_socket}"
    target = await stage.started("target", "sleep", "100000")
    async with AgentClient.connect(address) as client:
        init = client.container(target.id).init
        for _ in range(calls):
            began = time.perf_counter()
            await client.check()
            checked = time.perf_counter()
            await init.signal(0)
            found["Check"].append(checked - began)
            found["SignalProcess"].append(time.perf_counter() - checked)
    await target.remove()
    return found


def percentile(durations: list[float], share: int) -> float:
    """Return a percentile in milliseconds."""
    return statistics.quantiles(durations, n=100)[share - 1] * 1e3


def table(found: dict[str, dict[str, list[float]]]) -> str:
    rows = ["| | median | p99 | longest |", "|---|---|---|---|"]
    for situation, calls in found.items():
        rows += [
            f"| `{name}`, {situation} | {percentile(durations, 50):.2f} ms "
            f"| {percentile(durations, 99):.2f} ms | {max(durations) * 1e3:.2f} ms |"
            for name, durations in calls.items()
        ]
    return "\n".join(rows)


def faults(calls: dict[str, list[float]]) -> list[str]:
    """Return the methods that are over the limit."""
    return [
        f"`{name}` takes {slow:.1f} ms at p99, over {LIMIT_MS:g} ms"
        for name, durations in calls.items()
        if (slow := percentile(durations, 99)) > LIMIT_MS
    ]


async def compare() -> dict[str, dict[str, list[float]]]:
    async with open_stage() as stage:
        idle = await measure(stage)
        async with burden(stage):
            return {"idle": idle, "with all of it": await measure(stage)}


def main() -> int:
    found = asyncio.run(compare())
    text = table(found)
    print(text)
    if "--write" in sys.argv[1:]:
        replace_section("control", text)
    broken = faults(found["with all of it"])
    for fault in broken:
        print(fault)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
