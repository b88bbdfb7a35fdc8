# SPDX-License-Identifier: Apache-2.0
"""A caller that gives up over the wire ends the runtime that works for it alone.

ttrpc has no message that cancels a call: a caller leaves by the deadline of its call,
or by the end of its connection.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kata_host.client import AgentClient
from kata_host.client.spec import default_process, default_spec
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2
from ttrpc.errors import Code, StatusError, TtrpcError

SCRIPT = """#!/bin/sh
here=$(dirname $0)
for word in "$@"; do
    [ ! -e $here/hang-$word ] || { echo > $here/reached; read never < $here/fifo; }
done
exec CRUN "$@"
"""


@pytest.fixture
def programs(scratch: Path) -> Iterator[Path]:
    """Make a directory for PATH with a crun that hangs in a verb on demand."""
    directory = scratch / "bin"
    directory.mkdir()
    os.mkfifo(directory / "fifo")
    crun = directory / "crun"
    crun.write_text(SCRIPT.replace("CRUN", shutil.which("crun") or "/usr/bin/crun"))
    crun.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def guest(scratch: Path, programs: Path) -> Iterator[LocalGuest]:
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    with LocalGuest(scratch / "guest", environment=environment) as guest:
        make_busybox(guest.directory / "rootfs")
        yield guest


@pytest.fixture
async def client(guest: LocalGuest) -> AsyncIterator[AgentClient]:
    async with AgentClient.connect(guest.address) as client:
        await client.create_sandbox("sandbox")
        yield client


@pytest.mark.parametrize("way", ["deadline", "connection"])
async def test_whatever_works_for_a_caller_ends_when_the_caller_leaves(
    programs: Path, guest: LocalGuest, client: AgentClient, way: str
) -> None:
    rootfs = str(guest.directory / "rootfs")
    spec = default_spec("c1", default_process(["sleep", "1000"]), rootfs=rootfs)
    created = agent_pb2.CreateContainerRequest(container_id="c1", OCI=spec)
    started = agent_pb2.StartContainerRequest(container_id="c1")
    executed = agent_pb2.ExecProcessRequest(
        container_id="c1", exec_id="e1", process=default_process(["true"])
    )

    async def leave(verb: str, request: Any) -> None:
        """Give a call up while its runtime hangs; return when the runtime has gone."""
        (programs / f"hang-{verb}").touch()
        other = await AgentClient.connect(guest.address)
        method = getattr(other.agent, f"{verb}_container", other.agent.exec_process)
        call = asyncio.ensure_future(
            method(request, timeout=0.5 if way == "deadline" else None)
        )
        if way == "connection":
            while not (programs / "reached").exists():
                await asyncio.sleep(0.001)
            await other.close()
        with pytest.raises(TtrpcError) as raised:
            await call
        if way == "deadline":
            assert isinstance(raised.value, StatusError)
            assert raised.value.code is Code.DEADLINE_EXCEEDED
        await other.close()
        (programs / f"hang-{verb}").unlink()
        (programs / "reached").unlink(missing_ok=True)
        async with asyncio.timeout(30):
            while _runtimes(programs):
                await asyncio.sleep(0.001)

    async def once_free(method: Any, request: Any) -> None:
        """Call again until what the caller left behind has been taken back."""
        while True:
            try:
                return await method(request)
            except StatusError as error:
                if error.code is not Code.ALREADY_EXISTS:
                    raise
                await asyncio.sleep(0.001)

    await leave("create", created)
    await once_free(client.agent.create_container, created)
    await client.agent.start_container(started)
    await leave("exec", executed)
    await once_free(client.agent.exec_process, executed)
    waited = agent_pb2.WaitProcessRequest(container_id="c1", exec_id="e1")
    assert (await client.agent.wait_process(waited)).status == 0
    await client.container("c1").remove()


async def test_an_exec_whose_caller_gives_up_leaves_nothing_in_the_guest(
    programs: Path, guest: LocalGuest, client: AgentClient
) -> None:
    rootfs = str(guest.directory / "rootfs")
    spec = default_spec("c1", default_process(["sleep", "1000"]), rootfs=rootfs)
    async with client.started_container("c1", spec) as container:
        for terminal in (False, True):
            process = default_process(["true"], terminal=terminal)
            (programs / "hang-exec").touch()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await container.exec("e1", process)
            assert not _runtimes(programs)
            # By now, also its id is free.
            (programs / "hang-exec").unlink()
            executed = await container.exec("e1", process)
            assert (await executed.communicate()).status == 0


async def test_a_creation_whose_caller_gives_up_leaves_nothing_in_the_guest(
    programs: Path, guest: LocalGuest, client: AgentClient
) -> None:
    rootfs = str(guest.directory / "rootfs")
    spec = default_spec("c1", default_process(["sleep", "1000"]), rootfs=rootfs)
    (programs / "hang-create").touch()
    hanging = asyncio.create_task(client.create_container("c1", spec))
    while not (programs / "reached").exists():
        await asyncio.sleep(0.001)
    # A caller whose id is another's leaves the other one alone.
    late = asyncio.create_task(client.create_container("c1", spec))
    await asyncio.sleep(0)
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    assert _runtimes(programs)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert not _runtimes(programs)
    (programs / "hang-create").unlink()
    created = asyncio.create_task(client.create_container("c1", spec))
    await asyncio.sleep(0)
    created.cancel()
    with pytest.raises(asyncio.CancelledError):
        await created
    async with client.started_container("c1", spec):
        pass


def _runtimes(programs: Path) -> list[str]:
    """Return the processes of the runtime."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if f"{programs}/crun".encode() in command:
            found.append(process.name)
    return found
