# SPDX-License-Identifier: Apache-2.0
"""Every child of the agent dies at every step, and every caller leaves there.

At each step the runtime or a hook is held, one process is killed, or the caller gives
up, and then the container is removed or the sandbox destroyed. Each call ends with an
error that has a reason, the id can be used again, and nothing is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest

from kata_agent.blocking import blocking
from kata_agent.errors import AgentError, InvalidArgument
from kata_agent.linux.mount import mount
from kata_agent.sandbox.sandbox import Sandbox
from kata_protos import agent_pb2
from tests.helpers.domain import (
    NoStorages,
    container_request,
    exec_request,
    open_sandbox,
    read_all,
)
from tests.helpers.faulty_runtime import (
    DIRECTORY,
    make_faulty_runtime,
    release,
    set_fault,
    wait_until_reached,
)
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.traces import quiet_traces, wait_for_traces

STEPS: Final = [
    # verb, fault of the runtime, kind of hook that hangs
    ("create", "hang", ""),
    ("create", "after", ""),
    ("create", "", "CreateRuntime"),
    ("start", "hang", ""),
    ("start", "after", ""),
    ("start", "", "Poststart"),
    ("exec", "hang", ""),
    ("exec", "after", ""),
    ("delete", "hang", ""),
    ("delete", "after", ""),
    ("delete", "", "Poststop"),
]
VICTIMS: Final = ["runtime", "init", "exec", "pause", "caller", "none"]
SANDBOX_STEPS: Final = ["modules", "start of pause", "pinning of pause", "storages"]
HELD: Final = """#!/bin/sh
echo > /run/faulty/reached
while [ ! -e /run/faulty/release ]; do sleep 0.01; done
rm /run/faulty/release
exec PROGRAM "$@"
"""
HOOK: Final = "#!/bin/sh\necho > /run/faulty/reached\nexec sleep 314159\n"


@pytest.mark.slow
@pytest.mark.parametrize("end", ["remove", "destroy"])
@in_namespaces("v1", "v2")
async def test_whoever_dies_at_any_step_nothing_is_left(world: World, end: str) -> None:
    async with open_sandbox(runtime=make_faulty_runtime()) as sandbox:
        hook = DIRECTORY / "hook"
        hook.write_text(HOOK)
        hook.chmod(0o755)
        await _begin(sandbox)
        before = await quiet_traces()
        for verb, fault, kind in STEPS:
            for victim in VICTIMS:
                if verb == "delete" and victim != "runtime":
                    # Each takes the time that a delete has.
                    continue
                try:
                    await _crash(sandbox, verb, fault, kind, victim, end)
                    await _begin(sandbox)
                    await wait_for_traces(before)
                except BaseException as error:
                    error.add_note(f"at {verb} {fault}{kind}: {victim}")
                    raise


@in_namespaces("v1")
async def test_whoever_dies_while_the_sandbox_is_created_nothing_is_left(
    world: World,
) -> None:
    async with open_sandbox(runtime=make_faulty_runtime()) as sandbox:
        for name, last in (("modprobe", "true"), ("interpreter", sys.executable)):
            program = DIRECTORY / "bin" / name
            program.write_text(HELD.replace("PROGRAM", last))
            program.chmod(0o755)
        os.environ["PATH"] = f"{DIRECTORY}/bin:{os.environ['PATH']}"
        await _begin(sandbox)
        await sandbox.destroy()
        before = await quiet_traces()
        for step in SANDBOX_STEPS:
            for victim in ("child", "caller", "both"):
                try:
                    await _crash_creation(sandbox, step, victim, before)
                    await sandbox.destroy()
                    await wait_for_traces(before)
                    await _begin(sandbox)
                    await sandbox.destroy()
                    await wait_for_traces(before)
                except BaseException as error:
                    error.add_note(f"at {step}: {victim}")
                    raise


async def _crash_creation(
    sandbox: Sandbox, step: str, victim: str, before: dict[str, object]
) -> None:
    """Create the sandbox; at a step its child is killed or its caller leaves."""
    request = agent_pb2.CreateSandboxRequest(sandbox_id="sandbox", sandbox_pidns=True)
    if step == "modules":
        request.kernel_modules.add(name="dummy")
    async with _held_creation(sandbox, step, dies=victim != "caller") as reached:
        call = asyncio.create_task(sandbox.create(request))
        await reached()
        if victim != "child":
            call.cancel()
        if victim != "caller":
            await _kill_children()
    (error,) = await asyncio.gather(call, return_exceptions=True)
    if victim != "child":
        assert isinstance(error, asyncio.CancelledError)
    elif step == "storages":
        # The next container of the pid namespace gets a new pause process.
        assert error is None
    else:
        assert isinstance(error, AgentError), error
        await wait_for_traces(before)


@contextlib.asynccontextmanager
async def _held_creation(
    sandbox: Sandbox, step: str, *, dies: bool
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Hold a creation at `step` in the block; yield what waits until it is there.

    What is held `dies` in the block, or goes on afterwards.
    """
    if step in ("modules", "start of pause"):
        # Of the step before, whose program was killed with its caller.
        (DIRECTORY / "release").unlink(missing_ok=True)
        with patch.object(sys, "executable", f"{DIRECTORY}/bin/interpreter"):
            yield wait_until_reached
        if not dies:
            release()
        return
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold_add(*arguments: object) -> list[str]:
        reached.set()
        await go_on.wait()
        return []

    async def hold_mount(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if function is mount:
            await hold_add()
        return await blocking(function, *args, **named)

    async def wait() -> None:
        await reached.wait()

    with (
        patch.object(NoStorages, "add", hold_add)
        if step == "storages"
        else patch("kata_agent.sandbox.namespaces.blocking", hold_mount)
    ):
        yield wait
        go_on.set()


async def _kill_children() -> None:
    """Kill the modprobe or the pause process; return when it has ended."""
    killed = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            name = (directory / "comm").read_text().strip()
            if name in ("modprobe", "interpreter", "pause"):
                os.kill(int(directory.name), signal.SIGKILL)
                killed.append(directory)
    # The shell that holds it may have forked just now.
    assert killed
    for directory in killed:
        while directory.exists():
            await asyncio.sleep(0.001)


async def _begin(sandbox: Sandbox) -> None:
    """Use the id, and so the pid namespace, in a sandbox that is there."""
    if not sandbox.id:
        await sandbox.create(agent_pb2.CreateSandboxRequest(sandbox_id="sandbox"))
    request = container_request("c1", "echo", "out")
    request.sandbox_pidns = True
    await sandbox.create_container(request)
    await sandbox.start_container("c1")
    assert await read_all(sandbox, "c1") == b"out\n"
    assert await sandbox.container("c1").processes.wait("") == 0
    await sandbox.remove_container("c1")
    assert sandbox.containers == []


async def _crash(
    sandbox: Sandbox, verb: str, fault: str, kind: str, victim: str, end: str
) -> None:
    request = container_request("c1", "sleep", "1000")
    request.sandbox_pidns = True
    if kind:
        hooks = getattr(request.OCI.Hooks, kind)
        hooks.add(Path=f"{DIRECTORY}/hook", Env=["PATH=/bin:/usr/bin"])
    if verb != "create":
        await sandbox.create_container(request)
    if verb in ("exec", "delete"):
        await sandbox.start_container("c1")
    set_fault(verb, fault)
    call = asyncio.create_task(_call(sandbox, verb, request))
    await wait_until_reached()
    set_fault(verb, "")
    if victim == "caller":
        call.cancel()
    killed = _kill(sandbox, victim)
    if end == "destroy":
        await sandbox.destroy()
    else:
        await _remove(sandbox)
    (error,) = await asyncio.gather(call, return_exceptions=True)
    # Until a pause process has ended, the next container may still share with it.
    while any(directory.exists() for directory in killed):
        await asyncio.sleep(0.001)
    if verb == "delete":
        assert error is None
    elif victim == "caller":
        assert isinstance(error, asyncio.CancelledError)
    else:
        assert isinstance(error, AgentError), error
        assert "c1" in str(error)


def _call(
    sandbox: Sandbox, verb: str, request: agent_pb2.CreateContainerRequest
) -> Coroutine[Any, Any, None]:
    if verb == "create":
        return sandbox.create_container(request)
    if verb == "start":
        return sandbox.start_container("c1")
    if verb == "exec":
        return sandbox.exec_process(exec_request("c1", "e1", "sleep", "1000"))
    return sandbox.remove_container("c1")


async def _remove(sandbox: Sandbox) -> None:
    """Remove the container, unless its creation has been undone already."""
    while sandbox.containers:
        with contextlib.suppress(InvalidArgument):
            await sandbox.remove_container("c1")


def _kill(sandbox: Sandbox, victim: str) -> list[Path]:
    """Kill one kind of child, if there is one at this step; return those in `/proc`."""
    killed = []
    init = ""
    with contextlib.suppress(AgentError):
        init = sandbox.container("c1").proc.name
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (directory / "cmdline").read_text()
            name = (directory / "comm").read_text().strip()
            groups = (directory / "cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        inside = "/c1" in groups
        held = "314159" in arguments
        if {
            "runtime": held or "271828" in arguments,
            "init": directory.name == init or (inside and name.startswith("crun")),
            "exec": inside and directory.name != init,
            "pause": name == "pause",
        }.get(victim, False):
            os.kill(int(directory.name), signal.SIGKILL)
            killed.append(directory)
    return killed
