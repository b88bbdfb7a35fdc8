# SPDX-License-Identifier: Apache-2.0
"""Working directories that lead out of the container."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import Internal, InvalidArgument
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
