# SPDX-License-Identifier: Apache-2.0
"""The namespaces that containers share, as the kernel shows them."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument, InvalidState
from kata_agent.sandbox import namespaces as namespaces_module
from kata_agent.sandbox.sandbox import Sandbox
from kata_protos import agent_pb2
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    output_of,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces

TIME = "/proc/self/ns/time"


async def namespaces(sandbox: Sandbox, container_id: str) -> dict[str, int]:
    (pid, *_) = sandbox.container(container_id).cgroup.pids()
    kinds = ("ipc", "uts", "pid", "net", "mnt", "cgroup")
    # Held open until the process of the test ends, because the kernel uses the number
    # of a namespace that has gone again.
    held = {kind: os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in kinds}
    return {kind: os.fstat(fd).st_ino for kind, fd in held.items()}


def own() -> dict[str, int]:
    kinds = ("ipc", "uts", "pid", "net", "mnt", "cgroup")
    return {kind: os.stat(f"/proc/self/ns/{kind}").st_ino for kind in kinds}


@in_namespaces("v1", "v2")
async def test_ipc_and_uts_are_shared_and_outlive_the_first_container(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        await sandbox.create(agent_pb2.CreateSandboxRequest(hostname="pod"))
        await started(sandbox, "c1", "sleep", "1000")
        first = await namespaces(sandbox, "c1")
        await sandbox.remove_container("c1")
        await started(sandbox, "c2", "sleep", "1000")
        second = await namespaces(sandbox, "c2")
        assert (first["ipc"], first["uts"]) == (second["ipc"], second["uts"])
        assert first["pid"] != second["pid"]
        agent = own()
        assert second["net"] == agent["net"]
        for kind in ("ipc", "uts", "pid", "mnt"):
            assert second[kind] != agent[kind]
        await sandbox.exec_process(
            exec_request("c2", "e1", "cat", "/proc/sys/kernel/hostname")
        )
        assert await read_all(sandbox, "c2", "e1") == b"pod\n"


@in_namespaces("v1", "v2")
async def test_a_shared_pid_namespace_outlives_its_containers(world: World) -> None:
    async with open_sandbox() as sandbox:
        await sandbox.create(agent_pb2.CreateSandboxRequest(sandbox_pidns=True))
        await started(sandbox, "c1", "sh", "-c", "sleep 1000 & sleep 1000")
        first = await namespaces(sandbox, "c1")
        await sandbox.remove_container("c1")
        container = await started(sandbox, "c2", "sleep", "1000")
        assert (await namespaces(sandbox, "c2"))["pid"] == first["pid"]
        # The program is not PID 1, so that SIGTERM ends it.
        await container.signal("", 15)
        assert await container.processes.wait("") == 143


@in_namespaces("v1")
async def test_each_container_may_ask_to_share_the_pid_namespace(world: World) -> None:
    async with open_sandbox() as sandbox:
        for container_id in ("c1", "c2"):
            request = container_request(container_id, "sleep", "1000")
            request.sandbox_pidns = True
            await sandbox.create_container(request)
        await started(sandbox, "c3", "sleep", "1000")
        pids = [(await namespaces(sandbox, f"c{n}"))["pid"] for n in (1, 2, 3)]
        assert pids[0] == pids[1] != pids[2]
        # The shared PID 1 reaps the orphans.
        await sandbox.start_container("c1")
        await sandbox.exec_process(
            exec_request("c1", "e1", "sh", "-c", "(sleep 0.01 &) ; echo")
        )
        await read_all(sandbox, "c1", "e1")
        await sandbox.container("c1").processes.wait("e1")
        states = [
            path.read_text().rpartition(")")[2].split()[0]
            for path in Path("/proc").glob("[0-9]*/stat")
        ]
        assert "Z" not in states


@in_namespaces("v1")
async def test_the_agent_pid_namespace(world: World) -> None:
    async with open_sandbox() as sandbox:
        await sandbox.create_container(
            container_request("c1", "sh", "-c", "sleep 1000 & sleep 1000"),
            agent_pid=True,
        )
        await sandbox.start_container("c1")
        assert (await namespaces(sandbox, "c1"))["pid"] == own()["pid"]
        # Nothing but the cgroup holds its processes together.
        await sandbox.remove_container("c1")
        assert sorted(p.name for p in Path("/proc").glob("[0-9]*")) == ["1"]


@in_namespaces("v1")
async def test_pid_1_of_a_shared_pid_namespace_leads_nowhere(world: World) -> None:
    """PID 1 has no rights either, for a container that may trace PID 1."""
    async with open_sandbox() as sandbox:
        Path("/run/secret").touch()
        script = (
            "echo 1 $(ls -a /proc/1/root/ /proc/1/cwd/ /proc/1/root/..); "
            "grep -E 'Cap(Prm|Eff|Inh)|Uid' /proc/1/status"
        )
        request = container_request("c1", "sh", "-c", script)
        request.sandbox_pidns = True
        held = request.OCI.Process.Capabilities
        for each in (held.Bounding, held.Effective, held.Permitted):
            each.extend(["CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"])
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        listed, *status = (await read_all(sandbox, "c1")).decode().splitlines()
        assert set(listed.split()) <= {
            *("1", ".", "..", "/proc/1/root/:", "/proc/1/cwd/:", "/proc/1/root/..:")
        }
        assert ["Uid:", *4 * ["65534"]] in [line.split() for line in status]
        assert ["CapEff:", 16 * "0"] in [line.split() for line in status]
        assert ["CapPrm:", 16 * "0"] in [line.split() for line in status]


@in_namespaces("v1")
async def test_a_container_never_joins_a_namespace_of_its_own_kind(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        # runtime-rs says `mnt`.
        for kind in ("mount", "mnt", "cgroup", "user"):
            request = container_request("c1", "true")
            del request.OCI.Linux.Namespaces[:]
            request.OCI.Linux.Namespaces.add(Type=kind, Path="/proc/1/ns/mnt")
            with pytest.raises(InvalidArgument, match="never joins"):
                await sandbox.create_container(request)
        # For the shared kinds, the sandbox's paths replace those of the host.
        request = container_request("c1", "sleep", "1000")
        del request.OCI.Linux.Namespaces[:]
        for kind in ("ipc", "uts", "pid", "network"):
            request.OCI.Linux.Namespaces.add(Type=kind, Path="/proc/1/ns/ipc")
        await sandbox.create_container(request)
        mine = await namespaces(sandbox, "c1")
        agent = own()
        assert mine["ipc"] == os.stat("/run/sandbox-ns/ipc").st_ino
        assert mine["pid"] != agent["pid"]
        assert mine["mnt"] != agent["mnt"]


@in_namespaces("v1")
@pytest.mark.parametrize("runtime", ["crun", "runc"])
@pytest.mark.parametrize("path", ["", "/proc/1/ns/time"])
async def test_a_time_namespace_that_docker_29_asks_for_is_left_out(
    world: World, runtime: str, path: str
) -> None:
    """Both runtimes of Kata before 3.32 send the kind, without its path."""
    async with open_sandbox(runtime=runtime) as sandbox:
        request = container_request("c1", "busybox", "readlink", TIME)
        request.OCI.Linux.Namespaces.add(Type="time", Path=path)
        assert await output_of(sandbox, request) == f"{os.readlink(TIME)}\n"


@in_namespaces("v1", "v2")
async def test_a_pause_process_that_dies_is_logged_and_made_anew(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_sandbox() as sandbox:
        await sandbox.create(agent_pb2.CreateSandboxRequest(sandbox_pidns=True))
        first = await started(sandbox, "c1", "sleep", "1000")
        alone = container_request("c2", "sleep", "1000")
        await sandbox.create_container(alone, agent_pid=True)
        await sandbox.start_container("c2")
        mounts = len(Path("/proc/self/mountinfo").read_text().splitlines())
        for number in range(3):
            os.kill(_pause(), signal.SIGKILL)
            # As the kernel does: a pid namespace ends with its PID 1.
            assert await first.processes.wait("") == 137
            with pytest.raises(InvalidState, match="it is stopped|it is ending"):
                await sandbox.exec_process(exec_request(first.id, "e1", "true"))
            assert sandbox.container("c2").proc.exists()
            await sandbox.remove_container(first.id)
            first = await started(sandbox, "c1", "sleep", "1000")
            pid = (await namespaces(sandbox, "c1"))["pid"]
            assert pid == os.stat(f"/proc/{_pause()}/ns/pid").st_ino
            logged = [r for r in caplog.records if "pause process" in r.message]
            assert len(logged) == number + 1
        assert len(Path("/proc/self/mountinfo").read_text().splitlines()) == mounts
        await sandbox.destroy()
        # The end of the sandbox ends it, and that is no fault.
        assert len([r for r in caplog.records if "pause process" in r.message]) == 3


@in_namespaces("v1")
async def test_the_pause_process_is_the_last_to_be_killed_for_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A test without CAP_SYS_RESOURCE cannot set a score that low.
    monkeypatch.setattr(namespaces_module, "PAUSE_OOM_SCORE", 7)
    async with open_sandbox() as sandbox:
        await sandbox.create(agent_pb2.CreateSandboxRequest(sandbox_pidns=True))
        assert Path(f"/proc/{_pause()}/oom_score_adj").read_text() == "7\n"


def _pause() -> int:
    (pause,) = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/comm")
        if path.read_text() == "pause\n"
    ]
    return pause


@in_namespaces("v1")
async def test_containers_created_at_once_share_one_pid_namespace(world: World) -> None:
    async with open_sandbox() as sandbox:
        requests = [container_request(f"c{n}", "sleep", "1000") for n in range(4)]
        for request in requests:
            request.sandbox_pidns = True
        await asyncio.gather(*map(sandbox.create_container, requests))
        pids = {(await namespaces(sandbox, r.container_id))["pid"] for r in requests}
        assert len(pids) == 1
