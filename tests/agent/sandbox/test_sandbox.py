# SPDX-License-Identifier: Apache-2.0
"""A real sandbox with real containers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from kata_agent.errors import (
    AgentError,
    AlreadyExists,
    Internal,
    InvalidArgument,
    InvalidState,
    NotFound,
    Timeout,
)
from kata_agent.linux.mount import mount
from kata_agent.sandbox import sandbox as sandbox_module
from kata_agent.sandbox.sandbox import Sandbox
from kata_protos import agent_pb2
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    read_all,
    run,
    started,
)
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v1", "v2")
async def test_container_writes_and_exits(world: World) -> None:
    async with open_sandbox() as sandbox:
        status, output = await run(
            sandbox, "c1", "sh", "-c", "echo out; echo err >&2; exit 7"
        )
        assert (status, output) == (7, b"out\n")
        assert await read_all(sandbox, "c1", stderr=True) == b"err\n"
        await sandbox.remove_container("c1")
        assert sandbox.containers == []


@in_namespaces("v1")
async def test_runc_by_configuration(world: World) -> None:
    async with open_sandbox(runtime="runc") as sandbox:
        status, output = await run(sandbox, "c1", "sh", "-c", "echo out; exit 7")
        assert (status, output) == (7, b"out\n")
        await started(sandbox, "c2", "sleep", "1000")
        await sandbox.exec_process(exec_request("c2", "e1", "sh", "-c", "echo in"))
        assert await read_all(sandbox, "c2", "e1") == b"in\n"
        await sandbox.remove_container("c2")
        with pytest.raises(Exception, match="the file nope was not found"):
            await sandbox.create_container(container_request("c3", "nope"))


@in_namespaces("v1")
async def test_the_error_of_a_bad_request_names_its_fault(world: World) -> None:
    async with open_sandbox() as sandbox:
        for container_id in ("../x", "", "x", ".x", "a/b", "a" * 300, "a\0b", "ä1"):
            with pytest.raises(InvalidArgument, match="invalid id"):
                await sandbox.create_container(container_request(container_id, "true"))
        with pytest.raises(InvalidArgument, match="container 'c1': not found"):
            sandbox.container("c1")
        request = agent_pb2.CreateContainerRequest(container_id="c1")
        with pytest.raises(InvalidArgument, match="container 'c1': no OCI spec"):
            await sandbox.create_container(request)
        request.OCI.SetInParent()
        with pytest.raises(InvalidArgument, match="spec: no process"):
            await sandbox.create_container(request)
        request = container_request("c1", "true")
        request.OCI.Root.Path = "/run/nowhere"
        with pytest.raises(NotFound, match="root file system '/run/nowhere'"):
            await sandbox.create_container(request)
        request.OCI.Root.Path = "relative"
        with pytest.raises(InvalidArgument, match="not an absolute path"):
            await sandbox.create_container(request)
        os.symlink("/run/rootfs", "/run/link")
        request.OCI.Root.Path = "/run/link"
        with pytest.raises(InvalidArgument, match="symbolic link"):
            await sandbox.create_container(request)
        request = container_request("c1", "true")
        request.OCI.Linux.CgroupsPath = "/a/../../b"
        with pytest.raises(InvalidArgument, match="invalid cgroups path"):
            await sandbox.create_container(request)
        assert sandbox.containers == []


@in_namespaces("v2")
async def test_a_sandbox_that_cannot_be_destroyed_does_not_keep_the_agent(
    world: World,
) -> None:
    sandbox_module.DESTROY_TIMEOUT = 0.05  # type: ignore[misc]  # final, but for the test
    dead = asyncio.Event()

    async def hang() -> None:
        await dead.wait()

    async with open_sandbox() as sandbox:
        storages = sandbox._guest.storages
        remove_all, storages.remove_all = storages.remove_all, hang  # type: ignore[method-assign]  # a failure
        with pytest.raises(
            Timeout, match="sandbox 'sandbox': not destroyed within 0.05 s"
        ):
            await sandbox.destroy()
        assert sandbox.destroyed.is_set()
        # A second try would wait for as long as this.
        sandbox_module.DESTROY_TIMEOUT = 3600  # type: ignore[misc]  # final, but for the test
        async with asyncio.timeout(30):
            await sandbox.end()
        dead.set()
        storages.remove_all = remove_all  # type: ignore[method-assign]  # a failure


@in_namespaces("v2")
async def test_the_end_goes_on_after_an_error(world: World) -> None:
    async def fail() -> None:
        raise Internal("busy")

    async with open_sandbox() as sandbox:
        storages = sandbox._guest.storages
        remove_all, storages.remove_all = storages.remove_all, fail  # type: ignore[method-assign]  # a failure
        await sandbox.end()
        assert sandbox.destroyed.is_set()
        storages.remove_all = remove_all  # type: ignore[method-assign]  # a failure


@in_namespaces("v1", "v2")
async def test_nothing_is_left(world: World) -> None:
    async with open_sandbox() as sandbox:
        await run(sandbox, "warm-up", "true")
        await sandbox.remove_container("warm-up")
        before = _traces()
        for number in range(3):
            container_id = f"c{number}"
            await started(sandbox, container_id, "sh", "-c", "sleep 1000 & sleep 1000")
            await sandbox.exec_process(
                exec_request(container_id, "e1", "sh", "-c", "sleep 1000 & echo x")
            )
        await asyncio.gather(*(sandbox.remove_container(f"c{n}") for n in range(3)))
        await _settled(before)


def _descriptors() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(found)


async def _settled(before: dict[str, object]) -> None:
    """Wait until everything is as before: the last orphans end by themselves."""
    for _ in range(5000):
        if _traces() == before:
            return
        await asyncio.sleep(0.01)
    assert _traces() == before


def _traces() -> dict[str, object]:
    """Return all processes, descriptors, mounts, cgroups and files."""
    return {
        "processes": sorted(path.name for path in Path("/proc").glob("[0-9]*")),
        # The watches share one descriptor, opened when it is first needed.
        "descriptors": len([d for d in _descriptors() if "inotify" not in d]),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "cgroups": sorted(d for d, _, _ in os.walk("/sys/fs/cgroup")),
        "bundles": sorted(os.listdir("/run/kata-containers")),
        "runtime": sorted(os.listdir("/run/kata-agent/runtime")),
        "tasks": len(asyncio.all_tasks()),
    }


@in_namespaces("v1", "v2")
async def test_destroying_the_sandbox_leaves_nothing(world: World) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    async with open_sandbox() as sandbox:
        await sandbox.create(
            agent_pb2.CreateSandboxRequest(
                hostname="pod", sandbox_pidns=True, dns=["nameserver 192.0.2.1"]
            )
        )
        assert "192.0.2.1" in Path("/etc/resolv.conf").read_text()
        await started(sandbox, "c1", "sleep", "1000")
        await sandbox.create_container(container_request("c2", "true"))
        with pytest.raises(AlreadyExists):
            await sandbox.create(agent_pb2.CreateSandboxRequest())
        await sandbox.destroy()
        assert sandbox.destroyed.is_set()
        assert sandbox.containers == []
        await sandbox.destroy()
    assert Path("/proc/self/mountinfo").read_text() == before
    assert sorted(path.name for path in Path("/proc").glob("[0-9]*")) == ["1"]
    assert "192.0.2.1" not in Path("/etc/resolv.conf").read_text()


@in_namespaces("v1")
async def test_a_failed_sandbox_is_undone_and_can_be_tried_again(world: World) -> None:
    async with open_sandbox() as sandbox:
        before = Path("/proc/self/mountinfo").read_text()
        await sandbox.destroy()
        empty = Path("/proc/self/mountinfo").read_text()
        request = agent_pb2.CreateSandboxRequest(hostname="x" * 100)
        with pytest.raises(InvalidArgument, match="over 64 bytes"):
            await sandbox.create(request)
        assert Path("/proc/self/mountinfo").read_text() == empty
        await sandbox.create(agent_pb2.CreateSandboxRequest())
        again = Path("/proc/self/mountinfo").read_text()
        assert len(again.splitlines()) == len(before.splitlines())


@in_namespaces("v1")
async def test_a_creation_that_was_given_up_is_removed(world: World) -> None:
    async with open_sandbox() as sandbox:
        creation = asyncio.create_task(
            sandbox.create_container(container_request("c1", "sleep", "1000"))
        )
        while not Path("/run/kata-containers/c1/config.json").exists():
            await asyncio.sleep(0)
        creation.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creation
        async with asyncio.timeout(10):
            while sandbox.containers:
                await asyncio.sleep(0.001)
        assert await run(sandbox, "c1", "true") == (0, b"")


@in_namespaces("v1")
async def test_removal_honours_its_timeout_and_goes_on(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        async with container.lifecycle.lock:
            with pytest.raises(Timeout, match="not removed within"):
                await sandbox.remove_container("c1", 0.05)
            again = asyncio.create_task(sandbox.remove_container("c1"))
            await asyncio.sleep(0)
        await again
        assert sandbox.containers == []
        with pytest.raises(InvalidArgument, match="not found"):
            await sandbox.remove_container("c1")


@in_namespaces("v1")
async def test_operations_on_one_container_are_ordered(world: World) -> None:
    async with open_sandbox() as sandbox:
        await sandbox.create_container(container_request("c1", "sleep", "1000"))
        results = await asyncio.gather(
            *(sandbox.start_container("c1") for _ in range(5)), return_exceptions=True
        )
        assert [type(r).__name__ for r in results].count("InvalidState") == 4
        removed = await asyncio.gather(
            *(sandbox.remove_container("c1") for _ in range(5)), return_exceptions=True
        )
        assert removed == [None] * 5


@in_namespaces("v1")
async def test_the_control_path_does_not_wait(world: World) -> None:
    """Signals do not wait for a frozen cgroup, for full pipes or for long polls."""
    async with open_sandbox() as sandbox:
        await started(sandbox, "frozen", "sleep", "1000")
        await sandbox.pause_container("frozen")
        await started(sandbox, "full", "sh", "-c", "yes")
        container = await started(sandbox, "c1", "sleep", "1000")
        polls = []
        for number in range(50):
            await sandbox.exec_process(
                exec_request("c1", f"e{number}", "sleep", "1000")
            )
            processes = container.processes
            polls.append(asyncio.create_task(processes.wait(f"e{number}")))
            reading = processes.read(f"e{number}", stderr=False, limit=1)
            polls.append(asyncio.create_task(reading))
        stdin = processes.find("e0").stdio.input
        polls.append(asyncio.create_task(stdin.write(bytes(1 << 20))))
        # A removal that is stuck as well.
        async with sandbox.container("full").lifecycle.lock:
            removal = asyncio.create_task(sandbox.remove_container("full"))
            async with asyncio.timeout(30):
                for number in range(50):
                    await container.signal(f"e{number}", signal.SIGKILL)
            assert not removal.done()
        await removal
        results = await asyncio.gather(*polls, return_exceptions=True)
        assert results.count(137) == 50


@in_namespaces("v1", "v2")
async def test_many_containers_at_once(world: World) -> None:
    async with open_sandbox() as sandbox:

        async def life(sandbox: Sandbox, number: int) -> None:
            script = f"echo out {number}; exit {number % 100}"
            status, output = await run(sandbox, f"c{number}", "sh", "-c", script)
            assert (status, output) == (number % 100, b"out %d\n" % number)
            await sandbox.remove_container(f"c{number}")

        await life(sandbox, 0)
        before = _traces()
        await asyncio.gather(*(life(sandbox, number) for number in range(1, 60)))
        await _settled(before)


@in_namespaces("v1")
async def test_many_execs_at_once(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        before = _traces()

        async def life(number: int) -> None:
            exec_id = f"e{number}"
            if number % 5 == 0:
                with pytest.raises(Exception, match="was not found"):
                    await sandbox.exec_process(exec_request("c1", exec_id, "nope"))
                return
            script = f"echo {number}; exit {number}"
            await sandbox.exec_process(exec_request("c1", exec_id, "sh", "-c", script))
            assert await read_all(sandbox, "c1", exec_id) == b"%d\n" % number
            assert await container.processes.wait(exec_id) == number

        await asyncio.gather(*(life(number) for number in range(100)))
        await _settled(before)


@in_namespaces("v1", "v2")
async def test_a_removal_outruns_the_execs_under_way(world: World) -> None:
    async with open_sandbox() as sandbox:
        await run(sandbox, "warm-up", "true")
        await sandbox.remove_container("warm-up")
        before = _traces()
        # In the agent's pid namespace the death of the init does not end them.
        request = container_request("c1", "sleep", "1000")
        await sandbox.create_container(request, agent_pid=True)
        await sandbox.start_container("c1")
        execs = [
            asyncio.create_task(
                sandbox.exec_process(exec_request("c1", f"e{number}", "sleep", "1000"))
            )
            for number in range(20)
        ]
        await asyncio.sleep(0.01)
        await asyncio.wait_for(sandbox.remove_container("c1"), 60)
        await asyncio.gather(*execs, return_exceptions=True)
        await _settled(before)


@in_namespaces("v1")
async def test_a_storage_that_cannot_be_released_keeps_no_container(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:

        async def fail(container_id: str) -> None:
            raise OSError(16, "busy")

        await started(sandbox, "c1", "sleep", "1000")
        storages = sandbox._guest.storages
        storages.remove_for = fail  # type: ignore[method-assign]  # a failure
        with pytest.raises(OSError, match="busy"):
            await sandbox.remove_container("c1")
        assert sandbox.containers == []


@in_namespaces("v1")
async def test_an_id_is_free_when_nothing_of_it_is_left(world: World) -> None:
    async with open_sandbox() as sandbox:
        await started(sandbox, "c1", "sleep", "1000")
        storages = sandbox._guest.storages
        remove_for, begun, release = (
            storages.remove_for,
            asyncio.Event(),
            asyncio.Event(),
        )

        async def slow(container_id: str) -> None:
            begun.set()
            await release.wait()
            await remove_for(container_id)

        storages.remove_for = slow  # type: ignore[method-assign]  # to be slow
        removal = asyncio.create_task(sandbox.remove_container("c1"))
        await begun.wait()
        with pytest.raises(
            AlreadyExists, match="'c1': already exists, and is being removed"
        ):
            await sandbox.create_container(container_request("c1", "true"))
        release.set()
        await removal
        storages.remove_for = remove_for  # type: ignore[method-assign]  # as it was
        assert await run(sandbox, "c1", "true") == (0, b"")


@in_namespaces("v1")
async def test_a_dead_mount_holds_up_no_other_container(world: World) -> None:
    """A FUSE file system that never answers, as a root and as a mount's source."""
    dead = Path("/run/dead")
    dead.mkdir()
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={server},rootmode=40000,user_id=0,group_id=0"
        mount("fuse", dead, "fuse", 0, options)
    except OSError as error:
        pytest.skip(f"no FUSE here: {error}")
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        no_root = container_request("no-root", "true")
        no_root.OCI.Root.Path = str(dead / "rootfs")
        no_source = container_request("no-source", "true")
        no_source.OCI.Mounts.add(
            destination="/tmp", source=str(dead / "x"), type="bind", options=["rbind"]
        )
        # More of them than runtimes that may run at once.
        sources = []
        for number in range(2 * (os.cpu_count() or 1) + 1):
            sources.append(container_request(f"no-source-{number}", "true"))
            sources[-1].OCI.Mounts.extend(no_source.OCI.Mounts)
        stuck = [
            asyncio.create_task(sandbox.create_container(request))
            for request in (no_root, *sources)
        ]
        async with asyncio.timeout(30):
            for _ in range(20):
                await container.signal("", 0)
        assert await run(sandbox, "c2", "echo", "x") == (0, b"x\n")
        assert not any(task.done() for task in stuck)
        # Neither the thread nor the runtime that waits for it keeps its container.
        await sandbox.remove_container("no-root")
        await sandbox.remove_container("no-source-0")
        assert [type(task.exception()) for task in stuck[:2]] == [InvalidState] * 2
        # The server of the file system ends, so that every wait for it fails.
        os.close(server)
        results = await asyncio.gather(*stuck, return_exceptions=True)
        assert all(isinstance(result, AgentError) for result in results), results
        await sandbox.remove_container("c1")
        assert [c.id for c in sandbox.containers] == ["c2"]
