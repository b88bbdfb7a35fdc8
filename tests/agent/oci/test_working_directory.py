# SPDX-License-Identifier: Apache-2.0
"""Working directories that lead out of the container."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kata_agent.errors import Internal, InvalidArgument, NotFound
from kata_agent.oci.working_directory import check_after, resolve_before
from kata_agent.sandbox.sandbox import Sandbox
from tests.helpers.domain import (
    ROOTFS,
    container_request,
    exec_request,
    open_sandbox,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.zombie import zombie

OUTSIDE = ("/proc/1/cwd", "/proc/1/root", "/link", "/proc/1/root/run")


def make_link() -> None:
    (ROOTFS / "link").symlink_to("/proc/1/cwd")


async def pwd(sandbox: Sandbox, cwd: str) -> str:
    request = container_request("c1", "sh", "-c", "pwd")
    request.OCI.Process.Cwd = cwd
    await sandbox.create_container(request)
    await sandbox.start_container("c1")
    output = await read_all(sandbox, "c1")
    await sandbox.remove_container("c1")
    return output.decode().strip()


@in_namespaces("v1", "v2")
async def test_a_container_starts_in_its_working_directory(world: World) -> None:
    async with open_sandbox() as sandbox:
        (ROOTFS / "inside").symlink_to("tmp")
        assert await pwd(sandbox, "/tmp") == "/tmp"
        assert await pwd(sandbox, "/inside") == "/tmp"
        assert await pwd(sandbox, "/new/one") == "/new/one"
        assert await pwd(sandbox, "/dev/pts") == "/dev/pts"
        assert await pwd(sandbox, "") == "/"
        with pytest.raises(Internal, match="/bin/busybox"):
            await pwd(sandbox, "/bin/busybox")


@in_namespaces("v1")
async def test_a_container_does_not_begin_outside(world: World) -> None:
    """The container is in the agent's pid namespace, whose PID 1 is the agent."""
    async with open_sandbox() as sandbox:
        make_link()
        for cwd in OUTSIDE:
            request = container_request("c1", "true")
            request.OCI.Process.Cwd = cwd
            with pytest.raises(InvalidArgument, match=f"{cwd!r} is outside of its"):
                await sandbox.create_container(request, agent_pid=True)
            assert sandbox.containers == []
        # PID 1 of the shared namespace leads to an empty directory, also outside.
        request.sandbox_pidns = True
        for cwd in ("/proc/1/cwd", "/proc/1/root", "/link"):
            request.OCI.Process.Cwd = cwd
            with pytest.raises(InvalidArgument, match="outside of its root"):
                await sandbox.create_container(request)


@in_namespaces("v1")
async def test_an_exec_does_not_begin_outside(world: World) -> None:
    async with open_sandbox() as sandbox:
        make_link()
        request = container_request("c1", "sleep", "1000")
        await sandbox.create_container(request, agent_pid=True)
        await sandbox.start_container("c1")
        for cwd in OUTSIDE:
            executed = exec_request("c1", "e1", "true")
            executed.process.Cwd = cwd
            with pytest.raises(InvalidArgument, match=f"{cwd!r} is outside of its"):
                await sandbox.exec_process(executed)
        executed = exec_request("c1", "e1", "sh", "-c", "pwd")
        executed.process.Cwd = "/tmp"
        await sandbox.exec_process(executed)
        assert await read_all(sandbox, "c1", "e1") == b"/tmp\n"


@in_namespaces("v1")
async def test_a_container_with_its_own_pids_cannot_name_another_directory(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        await started(sandbox, "c0", "sleep", "1000")
        assert await pwd(sandbox, "/proc/1/cwd") == "/"
        assert Path("/run/rootfs").is_dir()


@in_namespaces("v1")
async def test_the_links_of_a_directory_are_resolved_before_an_exec(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        (ROOTFS / "dir/sub").mkdir(parents=True)
        (ROOTFS / "link").symlink_to("/dir/../dir")
        container = await started(sandbox, "c1", "sleep", "1000")
        root = container.proc / "root"
        for path, resolved in (
            ("/link/sub", "/dir/sub"),
            ("/dev/pts/../pts", "/dev/pts"),
            ("/tmp/", "/tmp"),
        ):
            assert resolve_before("c1", path, root) == resolved
        for path, reason in (
            ("/missing", "No such file or directory"),
            ("/bin/busybox", "Not a directory"),
        ):
            executed = exec_request("c1", "e1", "true")
            executed.process.Cwd = path
            with pytest.raises(Internal, match=f"'{path}': {reason}"):
                await sandbox.exec_process(executed)
        assert resolve_before("c1", "/tmp", Path("/proc/4194304/root")) == "/tmp"
        executed = exec_request("c1", "e1", "sh", "-c", "pwd")
        executed.process.Cwd = "/link/sub"
        await sandbox.exec_process(executed)
        assert await read_all(sandbox, "c1", "e1") == b"/dir/sub\n"


@in_namespaces("v1")
async def test_an_exec_that_began_outside_is_killed(world: World) -> None:
    """The container replaces the directory when the runtime has already started."""
    wrapper = Path("/run/wrapper/crun")
    wrapper.parent.mkdir()
    wrapper.write_text(
        "#!/bin/sh\n"
        'case "$*" in *" exec "*)\n'
        f"rmdir {ROOTFS}/dir && ln -s /proc/1/cwd {ROOTFS}/dir;;\n"
        "esac\n"
        'exec crun "$@"\n'
    )
    wrapper.chmod(0o755)
    async with open_sandbox(runtime=str(wrapper)) as sandbox:
        (ROOTFS / "dir").mkdir()
        request = container_request("c1", "sleep", "1000")
        await sandbox.create_container(request, agent_pid=True)
        await sandbox.start_container("c1")
        executed = exec_request("c1", "e1", "sleep", "1000")
        executed.process.Cwd = "/dir"
        # Later runtimes refuse it themselves.
        with pytest.raises((InvalidArgument, Internal)) as caught:
            await sandbox.exec_process(executed)
        if isinstance(caught.value, InvalidArgument):
            assert "working directory '/dir' is outside of its root" in str(
                caught.value
            )
        container = sandbox.container("c1")
        with pytest.raises(NotFound):
            container.processes.find("e1")
        while len(container.cgroup.pids()) > 1:
            await asyncio.sleep(0.001)


async def test_a_process_inside_and_one_that_has_ended_are_no_fault() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "1000", cwd="/tmp")
    try:
        check_after("c1", "/tmp", Path(f"/proc/{process.pid}"))
    finally:
        process.kill()
        await process.wait()
    check_after("c1", "/tmp", Path(f"/proc/{process.pid}"))


def test_a_process_that_ends_between_two_reads_is_no_fault(tmp_path: Path) -> None:
    """It is a zombie when its mounts are read, and none yet when its links are."""
    with zombie() as ended:
        for name in ("cwd", "ns"):
            (tmp_path / name).symlink_to(f"/proc/self/{name}")
        (tmp_path / "mountinfo").symlink_to(f"/proc/{ended}/mountinfo")
        check_after("c1", "/", tmp_path)
