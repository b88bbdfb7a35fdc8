# SPDX-License-Identifier: Apache-2.0
"""A guest that runs out of something loses nothing and leaves nothing.

Every call for a descriptor, a thread, a process or space fails once, in turn, with and
without the calls after it; then real limits are reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import resource
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bench.stage import Stage, agent_pid, footprint, open_stage
from kata_host.client.spec import default_process
from kata_host.ctl.ports import CONSOLE_PORT
from kata_protos import agent_pb2, oci_pb2
from tests.helpers.exhaustion import PATIENCE, create, open_failing, start, until_same
from tests.helpers.failing_agent import KINDS, Failures
from ttrpc.codes import Code
from ttrpc.errors import StatusError

SHARED = "/run/kata-containers/shared/containers"
Operation = Callable[[Stage, str], Awaitable[None]]


async def execute(stage: Stage, name: str) -> None:
    process = default_process(["true"], terminal=name.endswith("t"))
    executed = await stage.client.container("old").exec(name, process)
    await executed.communicate()


async def copy_file(stage: Stage, name: str) -> None:
    await stage.client.agent.copy_file(
        agent_pb2.CopyFileRequest(
            path=f"{SHARED}/{name}/a/b", file_size=1, data=b"x", file_mode=0o100644
        )
    )


async def observe(stage: Stage, name: str) -> None:
    """Everything that is asked of a running container, and of the guest."""
    agent, named = stage.client.agent, {"container_id": "old"}
    await agent.stats_container(agent_pb2.StatsContainerRequest(**named))
    for form in ("json", "table"):
        await agent.list_processes(agent_pb2.ListProcessesRequest(**named, format=form))
    await agent.update_container(
        agent_pb2.UpdateContainerRequest(
            **named, resources=oci_pb2.LinuxResources(Pids=oci_pb2.LinuxPids(Limit=99))
        )
    )
    await agent.get_metrics(agent_pb2.GetMetricsRequest())
    await agent.get_guest_details(agent_pb2.GuestDetailsRequest())
    await agent.get_volume_stats(agent_pb2.VolumeStatsRequest(volume_guest_path="/run"))
    await agent.pause_container(agent_pb2.PauseContainerRequest(**named))


async def resume(stage: Stage) -> None:
    with contextlib.suppress(StatusError):
        await stage.client.agent.resume_container(
            agent_pb2.ResumeContainerRequest(container_id="old")
        )


async def create_sandbox(stage: Stage, name: str) -> None:
    """Namespaces, name servers, a pause process, storages of the sandbox."""
    memory = agent_pb2.Storage(
        driver="ephemeral",
        fstype="tmpfs",
        mount_point="/run/kata-containers/sandbox/shm",
    )
    await stage.client.agent.create_sandbox(
        agent_pb2.CreateSandboxRequest(
            sandbox_id=name,
            hostname="host",
            dns=["nameserver 127.0.0.1"],
            sandbox_pidns=True,
            storages=[memory],
        )
    )


async def stream(stage: Stage, name: str) -> None:
    """Connections to the host for each stream of a process."""
    ports = {"stdin": 7001, "stdout": 7002, "stderr": 7003}
    received = dict.fromkeys(ports, b"")

    def serve(of: str, listener: socket.socket) -> None:
        # The agent resets a connection that it cannot use.
        with contextlib.suppress(OSError):
            with listener.accept()[0] as connection:
                if of == "stdin":
                    connection.sendall(b"in\n")
                    connection.shutdown(socket.SHUT_WR)
                while data := connection.recv(1 << 16):
                    received[of] += data

    async with contextlib.AsyncExitStack() as stack:
        serving, listeners = [], []
        for of, port in ports.items():
            path = Path(f"{stage.guest.socket}_{port}")
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(path))
            stack.callback(path.unlink)
            listener.listen()
            listeners.append(listener)
            serving.append(asyncio.create_task(asyncio.to_thread(serve, of, listener)))
        stack.push_async_callback(asyncio.wait, serving)
        for listener in listeners:
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
        try:
            script = ("sh", "-c", "echo err >&2; cat")
            await (await stage.created(name, *script, ports=ports)).start()
            request = agent_pb2.WaitProcessRequest(container_id=name)
            await stage.client.agent.wait_process(request)
        except BaseException:
            await removed(stage, name)
            raise
        await asyncio.wait(serving)
    if name == "warm":
        assert (received["stdout"], received["stderr"]) == (b"in\n", b"err\n")


async def open_console(stage: Stage, name: str) -> None:
    """A shell on the port of the debug console; without one the connection ends."""
    path = f"{stage.guest.socket}.d/{CONSOLE_PORT}"
    reader, writer = await asyncio.open_unix_connection(path)
    with contextlib.suppress(ConnectionError):
        writer.write(b"exit\n")
        await reader.read()
    writer.close()


async def remove(stage: Stage, name: str) -> None:
    await stage.client.container(name).remove()


async def removed(stage: Stage, name: str) -> None:
    """Remove a container, if there is one."""
    with contextlib.suppress(StatusError):
        await stage.client.container(name).remove()


async def every_failure(
    stage: Stage, failures: Failures, operation: Operation, kind: str, count: int
) -> AsyncIterator[tuple[str, bool]]:
    """Let `count` calls of a kind fail in an operation: the first ones, then the next.

    Yields the name of each operation, and whether that failed too.
    """
    for number in range(1000):
        name = f"{kind}-{count}-{number}{'t' if number % 2 else ''}"
        if operation is remove:
            await start(stage, name)
        failures.plan(kind, number, count)
        error: StatusError | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                await operation(stage, name)
        except StatusError as raised:
            error = raised
        if not failures.stop():
            yield name, False
            return
        if error is not None:
            assert error.code is Code.RESOURCE_EXHAUSTED, error
            assert "has no free" in error.message or "no space" in error.message
        yield name, error is not None
    raise AssertionError("the failures have no end")


@pytest.mark.slow
@pytest.mark.parametrize(
    "operation",
    [create, start, execute, copy_file, observe, stream, open_console, remove],
    ids=lambda it: it.__name__,
)
async def test_whatever_fails_leaves_nothing(
    tmp_path: Path, operation: Operation
) -> None:
    async with open_failing(tmp_path) as (stage, failures):
        await stage.started("old", "sleep", "1000")
        await start(stage, "warm")
        await execute(stage, "warm-t")
        await observe(stage, "warm")
        await resume(stage)
        await remove(stage, "warm")
        await stream(stage, "warm")
        await remove(stage, "warm")
        cgroups = footprint(stage.guest).cgroups
        await open_console(stage, "warm")
        while footprint(stage.guest).cgroups != cgroups:
            await asyncio.sleep(0.02)  # The shell's goes after the connection.
        before = footprint(stage.guest)
        lasting = []
        for kind, count in itertools.product(KINDS, (1, 4)):
            async for name, failed in every_failure(
                stage, failures, operation, kind, count
            ):
                await removed(stage, name)
                if operation is observe:
                    await resume(stage)
                if not failed and operation is copy_file:
                    before = footprint(stage.guest)
                if not failed or operation in (start, remove):
                    # Ephemeral storages stay until the sandbox ends.
                    lasting.append(f"/{name}-")
                await until_same(stage, before, name, lasting)


@pytest.mark.slow
async def test_a_sandbox_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    async with open_failing(tmp_path) as (stage, failures):
        await create_sandbox(stage, "warm")
        with pytest.raises(StatusError):
            await stage.client.create_sandbox("x" * 65, hostname="x" * 65)
        before = footprint(stage.guest)
        for kind, count in itertools.product(KINDS, (1, 4)):
            async for name, failed in every_failure(
                stage, failures, create_sandbox, kind, count
            ):
                if failed:
                    await until_same(stage, before, name)


@pytest.mark.slow
async def test_no_free_descriptor_and_no_space_leave_nothing() -> None:
    async with open_stage() as stage:
        await start(stage, "warm")
        await remove(stage, "warm")
        before = footprint(stage.guest)
        pid = agent_pid(stage.guest)
        run = Path(f"/proc/{pid}/root/run")
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        for free in range(16):
            soft = len(before.descriptors) + free
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, limits[1]))
            for name in ("full-1", "full-2"):
                with contextlib.suppress(StatusError):
                    await start(stage, name)
                await removed(stage, name)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            await until_same(stage, before, f"{free} descriptors", ["/full-"])
        # The file system in memory that holds bundles, states and mount points.
        command = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "mount", "-o"]
        subprocess.run([*command, "remount,size=1m", "/run"], check=True)
        with open(run / "filling", "wb", buffering=0) as filling:
            with contextlib.suppress(OSError):
                while True:
                    filling.write(bytes(4096))
        with pytest.raises(StatusError, match="no space") as caught:
            await start(stage, "full-3")
        assert caught.value.code is Code.RESOURCE_EXHAUSTED
        (run / "filling").unlink()
        await until_same(stage, before, "no space", ["/full-"])
        await start(stage, "full-3")
