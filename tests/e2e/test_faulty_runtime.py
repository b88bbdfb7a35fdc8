# SPDX-License-Identifier: Apache-2.0
"""A runtime or a hook that hangs, floods or fails keeps no container and no id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from kata_agent.errors import AlreadyExists, Internal, InvalidState
from kata_agent.sandbox.sandbox import Sandbox
from kata_protos import agent_pb2, oci_pb2
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    read_all,
    run,
    started,
)
from tests.helpers.faulty_runtime import (
    make_faulty_runtime,
    release,
    set_fault,
    wait_until_reached,
)
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.traces import quiet_traces, wait_for_traces

SLEEP = ("sleep", "1000")
Call = Coroutine[Any, Any, None]


@contextlib.asynccontextmanager
async def faulty_sandbox() -> AsyncIterator[Sandbox]:
    """Yield a sandbox with a faulty runtime, and check that nothing is left in it."""
    async with open_sandbox(runtime=make_faulty_runtime()) as sandbox:
        await run(sandbox, "warm-up", "true")
        await sandbox.remove_container("warm-up")
        before = await quiet_traces()
        yield sandbox
        for container in sandbox.containers:
            await sandbox.remove_container(container.id)
        await wait_for_traces(before)


async def _prepared(sandbox: Sandbox, verb: str) -> Call:
    """Bring container `c1` to the point before a verb, and return the call for it."""
    if verb != "create":
        await sandbox.create_container(container_request("c1", *SLEEP))
    if verb not in ("create", "start"):
        await sandbox.start_container("c1")
    return {
        "create": lambda: sandbox.create_container(container_request("c1", *SLEEP)),
        "start": lambda: sandbox.start_container("c1"),
        "exec": lambda: sandbox.exec_process(exec_request("c1", "e1", *SLEEP)),
        "terminal": lambda: sandbox.exec_process(
            exec_request("c1", "e1", *SLEEP, terminal=True)
        ),
        "update": lambda: _update_call(sandbox),
        "delete": lambda: sandbox.remove_container("c1"),
    }[verb]()


def _update_call(sandbox: Sandbox) -> Call:
    limits = oci_pb2.LinuxResources(Pids=oci_pb2.LinuxPids(Limit=99))
    return sandbox.update_container("c1", limits)


def _update(world: World) -> list[str]:
    """Without a controller, as in the v2 of a test, no runtime is called."""
    return ["update"] if world.version == "v1" else []


async def _check_id_is_free(sandbox: Sandbox) -> None:
    assert await run(sandbox, "c1", "true") == (0, b"")
    await sandbox.remove_container("c1")


@in_namespaces("v1", "v2")
async def test_a_removal_ends_the_runtime_that_hangs(world: World) -> None:
    async with faulty_sandbox() as sandbox:
        for verb in ("create", "start", "exec", "terminal", *_update(world)):
            for fault in ("hang", "after"):
                name = "exec" if verb == "terminal" else verb
                call = asyncio.create_task(await _prepared(sandbox, verb))
                set_fault(name, fault)
                await wait_until_reached()
                set_fault(name, "")
                other = await started(sandbox, "other", *SLEEP)
                await sandbox.remove_container("c1")
                with pytest.raises(InvalidState, match=f"{name} ended, because it is"):
                    await call
                await _wait_for_killed()
                await _check_id_is_free(sandbox)
                assert other.proc.exists()
                await sandbox.remove_container("other")


@in_namespaces("v1", "v2")
async def test_a_runtime_that_hangs_ends_with_the_caller_that_it_works_for(
    world: World,
) -> None:
    async with faulty_sandbox() as sandbox:
        for verb in ("create", "exec", "terminal", *_update(world)):
            for fault in ("hang", "after"):
                name = "exec" if verb == "terminal" else verb
                call = asyncio.create_task(await _prepared(sandbox, verb))
                set_fault(name, fault)
                await wait_until_reached()
                set_fault(name, "")
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                await _wait_for_killed()
                if verb in ("exec", "terminal"):
                    # The exec id is free, and only the second exec is there.
                    await _exec_once_free(sandbox, exec_request("c1", "e1", "echo"))
                    assert await read_all(sandbox, "c1", "e1") == b"\n"
                elif verb == "update":
                    await _update_call(sandbox)
                while verb == "create" and sandbox.containers:
                    await asyncio.sleep(0.001)
                if verb != "create":
                    await sandbox.remove_container("c1")
                await _check_id_is_free(sandbox)


@in_namespaces("v1", "v2")
async def test_a_kill_ends_the_start_that_hangs(world: World) -> None:
    async with faulty_sandbox() as sandbox:
        for verb, exec_id in (
            ("create", ""),
            ("create", "c1"),
            ("start", ""),
            ("start", "c1"),
            ("exec", ""),
            ("exec", "e1"),
            ("terminal", "e1"),
        ):
            for fault in ("hang", "after"):
                await _kill_in_start(sandbox, verb, exec_id, fault)


async def _kill_in_start(sandbox: Sandbox, verb: str, exec_id: str, fault: str) -> None:
    is_exec = verb in ("exec", "terminal")
    name = "exec" if is_exec else verb
    call = asyncio.create_task(await _prepared(sandbox, verb))
    set_fault(name, fault)
    await wait_until_reached()
    set_fault(name, "")
    container = sandbox.container("c1")
    await container.signal(exec_id, signal.SIGKILL)
    object, step = ("process 'e1': ", "start") if is_exec else ("", verb)
    with pytest.raises(
        InvalidState, match=f"container 'c1': {object}{step} ended, because it was kill"
    ):
        await call
    await _wait_for_killed()
    if exec_id == "e1":
        # The rest of the container goes on, and the exec id is free.
        await sandbox.exec_process(exec_request("c1", "e1", "echo"))
        assert await read_all(sandbox, "c1", "e1") == b"\n"
    elif verb != "create":
        assert await container.processes.wait("c1") == 137
    if verb != "create":
        await sandbox.remove_container("c1")
    await _check_id_is_free(sandbox)


@in_namespaces("v1")
async def test_a_kill_ends_an_exec_that_waits_for_other_runtimes(world: World) -> None:
    async with faulty_sandbox() as sandbox:
        await started(sandbox, "c1", *SLEEP)
        set_fault("exec", "hang")
        ids = [f"e{number}" for number in range(2 * (os.cpu_count() or 1) + 1)]
        calls = [
            asyncio.create_task(sandbox.exec_process(exec_request("c1", id, *SLEEP)))
            for id in ids
        ]
        await wait_until_reached()
        # At once, so that some of them have not begun.
        late = asyncio.create_task(
            sandbox.exec_process(exec_request("c1", "l", "echo"))
        )
        await asyncio.sleep(0)
        for id in (*ids, "l"):
            await sandbox.container("c1").signal(id, signal.SIGKILL)
        for id, call in zip((*ids, "l"), (*calls, late), strict=True):
            with pytest.raises(InvalidState, match=f"process '{id}': .*it was killed"):
                await call
        await _wait_for_killed()


async def _exec_once_free(
    sandbox: Sandbox, request: agent_pb2.ExecProcessRequest
) -> None:
    """Run an exec whose id is freed once its first start has been undone."""
    while True:
        try:
            return await sandbox.exec_process(request)
        except AlreadyExists:
            await asyncio.sleep(0.001)


async def _wait_for_killed() -> None:
    """Wait until no process of a faulty call is left; all of them are killed."""
    async with asyncio.timeout(30):
        while _hanging():
            await asyncio.sleep(0.001)


def _hanging() -> list[str]:
    """Return the commands of the processes that a faulty call leaves."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(file.read_text())
    return [each for each in found if "314159" in each or "271828" in each]


@in_namespaces("v1")
async def test_destroying_the_sandbox_ends_the_runtimes_that_hang(
    world: World,
) -> None:
    async with open_sandbox(runtime=make_faulty_runtime()) as sandbox:
        set_fault("create", "hang")
        creations = []
        # More than runtimes that may run at once.
        for number in range(2 * (os.cpu_count() or 1) + 1):
            request = container_request(f"c{number}", *SLEEP)
            creations.append(asyncio.create_task(sandbox.create_container(request)))
        await wait_until_reached()
        await sandbox.destroy()
        results = await asyncio.gather(*creations, return_exceptions=True)
        assert {type(result) for result in results} == {InvalidState}
        await _wait_for_killed()
        assert sandbox.containers == []


@in_namespaces("v1")
async def test_a_delete_that_hangs_is_bounded_and_nothing_stays(world: World) -> None:
    async with faulty_sandbox() as sandbox:
        for fault in ("hang", "flood", "nothing", "killed"):
            await started(sandbox, "c1", *SLEEP)
            set_fault("delete", fault)
            await sandbox.remove_container("c1")
            set_fault("delete", "")
            await _wait_for_killed()
            await _check_id_is_free(sandbox)


@in_namespaces("v1", "v2")
async def test_a_runtime_that_writes_much_or_is_killed_fails_its_call(
    world: World,
) -> None:
    async with faulty_sandbox() as sandbox:
        for fault in ("flood", "fail", "killed"):
            for verb in ("create", "start", "exec", *_update(world)):
                call = await _prepared(sandbox, verb)
                set_fault(verb, fault)
                # The undo of the creation fails too.
                set_fault("delete", "killed")
                with pytest.raises(Internal, match=f"{verb} failed: ") as caught:
                    await call
                assert len(str(caught.value)) < 5000
                set_fault(verb, "")
                if verb == "create":
                    assert sandbox.containers == []
                else:
                    await sandbox.remove_container("c1")
                set_fault("delete", "")
                await _check_id_is_free(sandbox)


@in_namespaces("v1")
async def test_a_runtime_that_names_no_process_of_its_own_fails_its_call(
    world: World,
) -> None:
    async with faulty_sandbox() as sandbox:
        other = await started(sandbox, "other", *SLEEP)
        for pid in ("x", "1", "0", "-5", "9" * 40, "", str(other.proc.name)):
            Path("/run/faulty/pid").write_text(pid)
            set_fault("create", "no-pid")
            with pytest.raises(Internal, match="create failed: .* no pid"):
                await sandbox.create_container(container_request("c1", *SLEEP))
            set_fault("create", "")
            await _check_id_is_free(sandbox)
        assert other.proc.exists()


@in_namespaces("v1", "v2")
async def test_a_removal_or_a_kill_ends_the_hook_that_hangs(world: World) -> None:
    async with faulty_sandbox() as sandbox:
        hook = Path("/run/faulty/hook")
        hook.write_text(
            "#!/bin/sh\nsetsid -w sleep 271828 &\n"
            "echo > /run/faulty/reached\nsleep 314159\n"
        )
        hook.chmod(0o755)
        for kind in ("Prestart", "CreateRuntime", "CreateContainer", "StartContainer"):
            await _end_in_hook(sandbox, kind, str(hook))
        await _end_in_hook(sandbox, "Poststart", str(hook))
        for kind in ("Prestart", "CreateContainer", "Poststart"):
            await _end_in_hook(sandbox, kind, str(hook), by=signal.SIGKILL)
        # PID 1 would ignore this one, so the agent sends SIGKILL.
        await _end_in_hook(sandbox, "Poststart", str(hook), by=signal.SIGTERM)
        # Not by the agent: the kernel kills when memory is short.
        await _end_in_hook(sandbox, "Poststart", str(hook), by=None)


async def _end_in_hook(
    sandbox: Sandbox, kind: str, path: str, *, by: int | None = 0
) -> None:
    """End a hook by a signal to its container, to its init (None) or by a removal."""
    request = container_request("c1", *SLEEP)
    # The hooks of the container see its root as theirs.
    request.OCI.Mounts.add(
        destination="/run", source="/run", type="bind", options=["rbind"]
    )
    getattr(request.OCI.Hooks, kind).add(Path=path, Env=["PATH=/bin:/usr/bin"])
    creation = asyncio.create_task(sandbox.create_container(request))
    call = creation
    if kind in ("StartContainer", "Poststart"):
        await creation
        call = asyncio.create_task(sandbox.start_container("c1"))
    await wait_until_reached()
    if by != 0:
        container = sandbox.container("c1")
        if by is None:
            os.kill(int(container.proc.name), signal.SIGKILL)
        else:
            await container.signal("", by)
        with pytest.raises(InvalidState, match="ended, because it was killed"):
            await call
        await _wait_for_killed()
        if call is not creation:
            await sandbox.remove_container("c1")
        await _check_id_is_free(sandbox)
        return
    await sandbox.remove_container("c1")
    if kind != "StartContainer":
        # crun's start does not wait for this kind, which the init runs.
        with pytest.raises(InvalidState, match="ended, because it is being removed"):
            await call
    await _wait_for_killed()
    await _check_id_is_free(sandbox)


@in_namespaces("v1", "v2")
async def test_hooks_that_write_much_neither_wait_nor_fill_the_guest(
    world: World,
) -> None:
    async with faulty_sandbox() as sandbox:
        request = container_request("c1", "echo", "out")
        script = "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; echo >>"
        for kind in ("Prestart", "Poststart", "Poststop"):
            getattr(request.OCI.Hooks, kind).add(
                Path="/bin/sh",
                Args=["sh", "-c", f"{script} /run/faulty/ran"],
                Env=["PATH=/bin:/usr/bin"],
            )
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        # Nothing of it is the container's output.
        assert await read_all(sandbox, "c1") == b"out\n"
        assert await read_all(sandbox, "c1", stderr=True) == b""
        await sandbox.remove_container("c1")
        assert Path("/run/faulty/ran").read_text() == "\n\n\n"


@in_namespaces("v1")
async def test_an_exec_that_writes_much_at_once_loses_nothing(world: World) -> None:
    async with faulty_sandbox() as sandbox:
        await started(sandbox, "c1", *SLEEP)
        # The runtime is still there while the program writes.
        set_fault("exec", "held")
        request = exec_request("c1", "e1", "head", "-c", "3000000", "/dev/zero")
        call = asyncio.create_task(sandbox.exec_process(request))
        await wait_until_reached()
        release()
        await call
        assert await read_all(sandbox, "c1", "e1") == bytes(3_000_000)
        assert await sandbox.container("c1").processes.wait("e1") == 0


@in_namespaces("v1")
async def test_destroying_the_sandbox_ends_a_setup_that_hangs(world: World) -> None:
    async with faulty_sandbox() as sandbox:
        await sandbox.destroy()
        modprobe = Path("/run/faulty/bin/modprobe")
        modprobe.write_text("#!/bin/sh\necho > /run/faulty/reached\nsleep 314159\n")
        modprobe.chmod(0o755)
        os.environ["PATH"] = f"/run/faulty/bin:{os.environ['PATH']}"
        request = agent_pb2.CreateSandboxRequest(sandbox_id="sandbox")
        request.kernel_modules.add(name="dummy")
        creation = asyncio.create_task(sandbox.create(request))
        await wait_until_reached()
        await sandbox.destroy()
        with pytest.raises(InvalidState, match="sandbox: create ended, because it is"):
            await creation
        await _wait_for_killed()
        await sandbox.create(agent_pb2.CreateSandboxRequest(sandbox_id="sandbox"))
        await _check_id_is_free(sandbox)
