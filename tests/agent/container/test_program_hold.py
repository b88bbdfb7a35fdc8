# SPDX-License-Identifier: Apache-2.0
"""Terminals of execs, as their programs see them at once."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from pathlib import Path

import pytest

from kata_agent.blocking import blocking
from kata_agent.container import program_hold
from kata_agent.container.program_hold import program_held
from kata_agent.linux.exec_hold import ExecHold
from kata_agent.oci.spec import Spec
from kata_agent.sandbox.sandbox import Sandbox
from tests.helpers.domain import (
    ROOTFS,
    exec_request,
    open_sandbox,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces

ENV = ["PATH=/nowhere:/bin", "A=b"]


async def on_terminal(sandbox: Sandbox, exec_id: str, uid: int, *args: str) -> str:
    """Run an exec on a terminal of 33 rows and 132 columns; return its output."""
    request = exec_request("c1", exec_id, *args, terminal=True)
    request.process.User.UID = uid
    size = request.process.ConsoleSize
    size.Height, size.Width = 33, 132
    await sandbox.exec_process(request)
    return (await read_all(sandbox, "c1", exec_id)).decode().strip()


@in_namespaces("v1", "v2")
async def test_a_terminal_has_its_size_from_the_first_instruction(
    world: World,
) -> None:
    """podman#10560"""
    async with open_sandbox() as sandbox:
        await started(sandbox, "c1", "sleep", "1000")
        for number in range(15):
            size = await on_terminal(sandbox, f"e{number}", 0, "stty", "size")
            assert size == "33 132"


@in_namespaces("v1", "v2")
async def test_a_terminal_belongs_to_the_user_of_the_exec(world: World) -> None:
    async with open_sandbox() as sandbox:
        (ROOTFS / "bin/stat").symlink_to("busybox")
        await started(sandbox, "c1", "sleep", "1000")
        script = "stat -c %u /proc/self/fd/0 -L && echo opened > $(tty)"
        for number, uid in enumerate((1000, 0, 4242)):
            lines = await on_terminal(sandbox, f"e{number}", uid, "sh", "-c", script)
            assert lines.split() == [str(uid), "opened"]


@in_namespaces("v1")
async def test_only_programs_of_the_container_are_held(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(
            sandbox, "c1", "sh", "-c", "echo begun; read line; sleep 0; echo slept"
        )
        processes = container.processes
        assert await processes.read("", stderr=False, limit=6) == b"begun\n"
        process = {"args": ["sleep"], "env": ENV, "cwd": "/"}
        async with program_held(process, container.proc):
            subprocess.run(["true"], check=True)
            await processes.find("").stdio.input.write(b"\n")
        assert await processes.read("", stderr=False, limit=6) == b"slept\n"


@in_namespaces("v1")
async def test_a_program_that_is_not_there_is_not_held(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        for program in ("missing", "/etc/passwd", "/etc", "../../x"):
            process = {"args": [program], "env": ENV, "cwd": "/etc"}
            async with program_held(process, container.proc):
                pass
        async with program_held(process, Path("/proc/4194304")):
            pass


@in_namespaces("v1")
async def test_the_agent_never_holds_its_own_mounts(world: World) -> None:
    process = {"args": ["true"], "env": ["PATH=/usr/bin:/bin"], "cwd": "/"}
    async with program_held(process, Path("/proc/self")):
        subprocess.run(["true"], check=True, timeout=10)


@in_namespaces("v1")
async def test_a_start_that_is_cancelled_leaves_no_hold(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        begun, release = threading.Event(), threading.Event()

        def slow(process: Spec, init: Path) -> ExecHold | None:
            begun.set()
            release.wait()
            return hold(process, init)

        hold, program_hold._hold = program_hold._hold, slow

        async def start() -> None:
            async with program_held({"args": ["cat"], "env": ENV}, container.proc):
                pytest.fail("not cancelled")

        before = len(os.listdir("/proc/self/fd"))
        starting = asyncio.create_task(start())
        await blocking(begun.wait)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        release.set()
        async with asyncio.timeout(30):
            while len(os.listdir("/proc/self/fd")) != before:
                await asyncio.sleep(0.001)
