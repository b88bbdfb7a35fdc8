# SPDX-License-Identifier: Apache-2.0
"""Containers run by the real runtime, in namespaces and cgroups of the test's own."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from unittest.mock import patch

import pytest

from kata_agent.container.container_state import ContainerState
from kata_agent.errors import (
    AlreadyExists,
    Internal,
    InvalidArgument,
    InvalidState,
    NotFound,
)
from kata_agent.linux import last_place
from kata_agent.sandbox.sandbox import Sandbox
from kata_protos import oci_pb2
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
async def test_exit_codes(world: World) -> None:
    async with open_sandbox() as sandbox:
        assert (await run(sandbox, "c1", "true"))[0] == 0
        assert (await run(sandbox, "c2", "sh", "-c", "exit 125"))[0] == 125
        # The init, PID 1 of its namespace, ignores its own SIGKILL; an exec does not.
        await started(sandbox, "c3", "sleep", "1000")
        await sandbox.exec_process(exec_request("c3", "e", "sh", "-c", "kill -9 $$"))
        assert await sandbox.container("c3").processes.wait("e") == 137


@in_namespaces("v1", "v2")
async def test_states_are_checked(world: World) -> None:
    async with open_sandbox() as sandbox:
        await sandbox.create_container(container_request("c1", "sleep", "1000"))
        with pytest.raises(AlreadyExists, match="container 'c1': already exists"):
            await sandbox.create_container(container_request("c1", "true"))
        with pytest.raises(InvalidState, match="cannot resume, it is created"):
            await sandbox.resume_container("c1")
        await sandbox.start_container("c1")
        with pytest.raises(InvalidState, match="cannot start, it is running"):
            await sandbox.start_container("c1")
        await sandbox.pause_container("c1")
        with pytest.raises(InvalidState, match="cannot exec, it is paused"):
            await sandbox.exec_process(exec_request("c1", "e1", "true"))
        with pytest.raises(InvalidState, match="cannot pause, it is paused"):
            await sandbox.pause_container("c1")
        await sandbox.resume_container("c1")
        container = sandbox.container("c1")
        await container.signal("", signal.SIGKILL)
        assert await container.processes.wait("") == 137
        with pytest.raises(InvalidState, match="cannot exec, it is stopped"):
            await sandbox.exec_process(exec_request("c1", "e1", "true"))
        with pytest.raises(NotFound, match="container 'c1': no init process"):
            await container.processes.wait("c1")


@in_namespaces("v1", "v2")
async def test_a_frozen_container_runs_nothing_and_can_be_removed(world: World) -> None:
    async with open_sandbox() as sandbox:
        await started(sandbox, "c1", "sh", "-c", "while :; do :; done")
        await sandbox.pause_container("c1")
        container = sandbox.container("c1")
        (pid,) = container.cgroup.pids()
        before = _cpu_ticks(pid)
        # Nothing happens, so there is no event to wait for.
        await asyncio.sleep(0.1)
        assert _cpu_ticks(pid) == before
        await sandbox.remove_container("c1")
        assert not Path(f"/proc/{pid}").exists()


@in_namespaces("v1", "v2")
async def test_an_init_that_dies_during_the_freeze_leaves_the_container_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        init = container.processes.find("")
        freeze = container.cgroup.freeze

        async def die_and_freeze(timeout: float) -> None:
            init.send_signal(signal.SIGKILL)
            await init.wait()
            await freeze(timeout)

        with monkeypatch.context() as patch:
            patch.setattr(container.cgroup, "freeze", die_and_freeze)
            with pytest.raises(InvalidState, match="cannot pause, it is stopped"):
                await sandbox.pause_container("c1")
        assert container.lifecycle.state is ContainerState.STOPPED
        with pytest.raises(InvalidState, match="its init does not run"):
            _ = container.proc
        with pytest.raises(InvalidState, match="cannot resume, it is stopped"):
            await sandbox.resume_container("c1")


@in_namespaces("v1", "v2")
async def test_an_init_that_dies_during_the_thaw_leaves_the_container_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        await sandbox.pause_container("c1")
        init = container.processes.find("")
        thaw = container.cgroup.thaw

        async def thaw_and_die() -> None:
            await thaw()
            init.send_signal(signal.SIGKILL)
            await init.wait()

        with monkeypatch.context() as patch:
            patch.setattr(container.cgroup, "thaw", thaw_and_die)
            await sandbox.resume_container("c1")
        assert container.lifecycle.state is ContainerState.STOPPED


@in_namespaces("v1", "v2")
async def test_a_container_paused_before_its_start_can_be_started_after(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        await sandbox.create_container(container_request("c1", "true"))
        await sandbox.pause_container("c1")
        with pytest.raises(InvalidState, match="cannot start, it is paused"):
            await sandbox.start_container("c1")
        await sandbox.resume_container("c1")
        await sandbox.start_container("c1")
        assert await sandbox.container("c1").processes.wait("") == 0


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@in_namespaces("v1", "v2")
async def test_term_kills_an_init_that_would_ignore_it(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        await container.signal("", signal.SIGTERM)
        assert await container.processes.wait("") == 137
        container = await started(
            sandbox,
            "c2",
            "sh",
            "-c",
            'trap "exit 9" TERM; echo r; while :; do sleep 0.01; done',
        )
        assert await container.processes.read("", stderr=False, limit=9) == b"r\n"
        await container.signal("c2", signal.SIGTERM)
        assert await container.processes.wait("c2") == 9


@in_namespaces("v1", "v2")
async def test_signals(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        await sandbox.exec_process(exec_request("c1", "e1", "sleep", "1000"))
        await sandbox.exec_process(exec_request("c1", "e2", "sleep", "1000"))
        await container.signal("e1", signal.SIGTERM)
        assert await container.processes.wait("e1") == 143
        with pytest.raises(NotFound, match="container 'c1': no process 'e1'"):
            await container.signal("e1", signal.SIGTERM)
        with pytest.raises(InvalidArgument, match="no signal 99"):
            await container.signal("e2", 99)
        # SIGKILL without an exec id goes to every process.
        await container.signal("", signal.SIGKILL)
        assert await container.processes.wait("e2") == 137
        assert await container.processes.wait("") == 137
        # A signal to a process that has ended is dropped.
        await container.signal("", signal.SIGKILL)


@in_namespaces("v1", "v2")
async def test_those_that_a_kill_ends_give_way_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`test_last_place` and `test_cgroup` show what that does to thousands."""
    found: list[int] = []
    monkeypatch.setattr(last_place, "CROWD", 1)
    monkeypatch.setattr(
        os, "setpriority", lambda _, pid, value: pid and found.append(pid)
    )
    async with open_sandbox() as sandbox:
        own = await started(sandbox, "own", "sleep", "1000")
        request = container_request("shared", "sleep", "1000")
        request.sandbox_pidns = True
        await sandbox.create_container(request)
        await sandbox.start_container("shared")
        shared = sandbox.container("shared")
        pids = [own.processes.find("").pid, shared.processes.find("").pid]
        await own.signal("own", signal.SIGTERM)
        assert found == pids[:1]
        # The end of this init ends no other process.
        await shared.signal("shared", signal.SIGKILL)
        assert found == pids[:1]
        other = await started(sandbox, "other", "sleep", "1000")
        pids.append(other.processes.find("").pid)
        await sandbox.remove_container("other")
        assert set(found) == {pids[0], pids[2]}


@in_namespaces("v2")
async def test_a_container_is_killed_in_a_guest_without_threads(world: World) -> None:
    """A fork bomb of its own may have taken them."""
    async with open_sandbox() as sandbox:
        for container_id, exec_id in (("c1", "c1"), ("c2", "")):
            container = await started(sandbox, container_id, "sleep", "1000")
            with patch("_thread.start_new_thread", side_effect=RuntimeError):
                await container.signal(exec_id, signal.SIGKILL)
            assert await container.processes.wait("") == 137


@in_namespaces("v1", "v2")
async def test_many_waiters_get_the_same_exit_code_once(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        await sandbox.exec_process(exec_request("c1", "e1", "sleep", "1000"))
        waiters = [
            asyncio.create_task(container.processes.wait("e1")) for _ in range(10)
        ]
        left = asyncio.create_task(container.processes.wait("e1"))
        await asyncio.sleep(0)
        left.cancel()
        await container.signal("e1", signal.SIGINT)
        assert await asyncio.gather(*waiters) == [130] * 10
        with pytest.raises(NotFound):
            await container.processes.wait("e1")


@in_namespaces("v1", "v2")
async def test_a_missing_program_fails_create_and_exec(world: World) -> None:
    async with open_sandbox() as sandbox:
        with pytest.raises(Internal, match="the file /bin/nope was not found"):
            await sandbox.create_container(container_request("c1", "/bin/nope"))
        with pytest.raises(Internal, match="the file nope was not found"):
            await sandbox.create_container(container_request("c1", "nope"))
        assert sandbox.containers == []
        await started(sandbox, "c1", "sleep", "1000")
        with pytest.raises(Internal, match="the file nope was not found"):
            await sandbox.exec_process(exec_request("c1", "e1", "nope"))
        # The id is free again, and the zombie of the failed exec delays nothing.
        await sandbox.exec_process(exec_request("c1", "e1", "true"))
        assert await sandbox.container("c1").processes.wait("e1") == 0
        await asyncio.wait_for(sandbox.remove_container("c1"), 10)


@in_namespaces("v1", "v2")
async def test_exec_ids_are_unique_while_they_run(world: World) -> None:
    async with open_sandbox() as sandbox:
        await started(sandbox, "c1", "sleep", "1000")
        first, second = await asyncio.gather(
            sandbox.exec_process(exec_request("c1", "e1", "sleep", "1000")),
            sandbox.exec_process(exec_request("c1", "e1", "sleep", "1000")),
            return_exceptions=True,
        )
        assert [first, second].count(None) == 1
        with pytest.raises(AlreadyExists, match="exec id 'e1' already exists"):
            await sandbox.exec_process(exec_request("c1", "e1", "true"))
        with pytest.raises(AlreadyExists, match="exec id 'c1' already exists"):
            await sandbox.exec_process(exec_request("c1", "c1", "true"))


@in_namespaces("v1", "v2")
async def test_killing_a_paused_init_does_not_wait_for_the_resume(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        await sandbox.pause_container("c1")
        await container.signal("c1", signal.SIGKILL)
        async with asyncio.timeout(10):
            assert await container.processes.wait("c1") == 137


async def write(sandbox: Sandbox, exec_id: str) -> None:
    stdin = sandbox.container("c1").processes.find(exec_id).stdio.input
    await stdin.write(b"\n")


@in_namespaces("v1", "v2")
async def test_exec_has_the_container_limits(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        request.OCI.Process.OOMScoreAdj = 300
        request.OCI.Process.Rlimits.add(Type="RLIMIT_NOFILE", Soft=77, Hard=88)
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        # The score is set a moment after the start.
        script = "ulimit -Sn; ulimit -Hn; read x; cat /proc/self/oom_score_adj"
        executed = exec_request("c1", "e1", "sh", "-c", script)
        await sandbox.exec_process(executed)
        await write(sandbox, "e1")
        assert await read_all(sandbox, "c1", "e1") == b"77\n88\n300\n"
        executed.exec_id = "e2"
        executed.process.OOMScoreAdj = 400
        executed.process.Rlimits.add(Type="RLIMIT_NOFILE", Soft=70, Hard=80)
        await sandbox.exec_process(executed)
        await write(sandbox, "e2")
        assert await read_all(sandbox, "c1", "e2") == b"70\n80\n400\n"


@in_namespaces("v1", "v2")
async def test_exec_has_the_container_capabilities(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        for kind in ("Bounding", "Effective", "Permitted"):
            getattr(request.OCI.Process.Capabilities, kind).append("CAP_CHOWN")
        request.OCI.Process.NoNewPrivileges = True
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        await sandbox.exec_process(exec_request("c1", "e1", "cat", "/proc/self/status"))
        status = (await read_all(sandbox, "c1", "e1")).decode()
        assert "CapEff:\t0000000000000001" in status
        assert "CapBnd:\t0000000000000001" in status
        assert "NoNewPrivs:\t1" in status


@in_namespaces("v1")
async def test_an_update_changes_only_the_limits_that_it_names(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000")
        request.OCI.Linux.Resources.Memory.Limit = 64 << 20
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        resources = oci_pb2.LinuxResources()
        resources.Pids.Limit = 33
        resources.CPU.Quota = 20000
        resources.CPU.Period = 100000
        resources.CPU.Cpus = "0,7000"
        await sandbox.update_container("c1", resources)
        root = Path("/sys/fs/cgroup")
        assert (root / "pids/c1/pids.max").read_text() == "33\n"
        assert (root / "cpu/c1/cpu.cfs_quota_us").read_text() == "20000\n"
        assert (root / "cpuset/c1/cpuset.cpus").read_text() == "0\n"
        limit = (root / "memory/c1/memory.limit_in_bytes").read_text()
        assert int(limit) == 64 << 20
        assert sandbox.container("c1").wanted_cpus == "0,7000"


@in_namespaces("v1", "v2")
async def test_stats(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sh", "-c", "echo x; sleep 1000")
        await container.processes.read("", stderr=False, limit=1)
        stats = await container.stats()
        assert stats.cgroup_stats.cpu_stats.cpu_usage.total_usage > 0
        if world.version == "v1":
            assert stats.cgroup_stats.pids_stats.current >= 1
            assert stats.cgroup_stats.memory_stats.usage.usage > 0


@in_namespaces("v1")
async def test_every_oom_kill_is_reported_once(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request(
            "c1", "sh", "-c", "for i in 1 2 3; do tail /dev/zero; echo $?; done"
        )
        request.OCI.Linux.Resources.Memory.Limit = 16 << 20
        request.OCI.Linux.Resources.Memory.Swap = 16 << 20
        os.symlink("busybox", "/run/rootfs/bin/tail")
        await sandbox.create_container(request)
        abandoned = asyncio.create_task(sandbox.oom_events.next())
        await asyncio.sleep(0)
        abandoned.cancel()
        await sandbox.start_container("c1")
        events = [await asyncio.wait_for(sandbox.oom_events.next(), 10) for _ in "123"]
        assert events == ["c1"] * 3
        assert await read_all(sandbox, "c1") == b"137\n" * 3
        await sandbox.remove_container("c1")
        more = asyncio.create_task(sandbox.oom_events.next())
        await asyncio.sleep(0)
        assert not more.done()
        await sandbox.destroy()
        with pytest.raises(Internal, match="sandbox: destroyed"):
            await more


@in_namespaces("v1")
async def test_the_kills_of_a_pause_container_are_no_events(world: World) -> None:
    """The Go shim and runtime-rs report an event's id as a task of containerd, which
    knows the pause container as the pod. `ctr run` has one container with the sandbox's
    id, and is told of its kills.
    """
    async with open_sandbox() as sandbox:
        os.symlink("busybox", "/run/rootfs/bin/tail")
        for kind, name in (("pod_sandbox", "pause"), ("single_container", "sandbox")):
            request = container_request(name, "tail", "/dev/zero")
            annotations = request.OCI.Annotations
            annotations["io.katacontainers.pkg.oci.container_type"] = kind
            request.OCI.Linux.Resources.Memory.Limit = 16 << 20
            request.OCI.Linux.Resources.Memory.Swap = 16 << 20
            await sandbox.create_container(request)
            await sandbox.start_container(name)
            assert await sandbox.container(name).processes.wait("") == 137
            # The end of a container's watch reports all of its kills.
            await sandbox.remove_container(name)
        assert await asyncio.wait_for(sandbox.oom_events.next(), 10) == "sandbox"


@in_namespaces("v1", "v2")
async def test_list_processes(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        (pid,) = container.cgroup.pids()
        assert await sandbox.list_processes("c1", "json", []) == b"[%d]" % pid
        table = (await sandbox.list_processes("c1", "table", [])).decode()
        header, line = table.splitlines()
        assert header.split()[:2] == ["UID", "PID"]
        assert line.split()[1] == str(pid)
        assert "sleep 1000" in line
        table = (await sandbox.list_processes("c1", "table", ["-o", "pid"])).decode()
        assert table.split() == ["PID", str(pid)]
        with pytest.raises(InvalidArgument, match="invalid format 'xml'"):
            await sandbox.list_processes("c1", "xml", [])


@in_namespaces("v1", "v2")
async def test_diagnostic_data(world: World) -> None:
    async with open_sandbox() as sandbox:
        log = Path("/run/termination-log")
        log.write_text("")
        request = container_request("c1", "sh", "-c", "echo why > /dev/termination-log")
        request.OCI.Annotations["io.kubernetes.container.terminationMessagePath"] = (
            "/dev/termination-log"
        )
        request.OCI.Mounts.add(
            destination="/dev/termination-log",
            source=str(log),
            type="bind",
            options=["bind"],
        )
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        container = sandbox.container("c1")
        assert await container.processes.wait("") == 0
        assert await container.diagnostic("termination_log") == "why\n"
        log.unlink()
        log.symlink_to("/proc/self/environ")
        assert await container.diagnostic("termination_log") == ""
        with pytest.raises(InvalidArgument, match="unknown type 'core'"):
            await container.diagnostic("core")
