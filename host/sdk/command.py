# SPDX-License-Identifier: Apache-2.0
"""A command to its end, in a container of its own or in one that runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from kata_host.client.agent_client import AgentClient
from kata_host.client.container_process import ContainerProcess
from kata_host.client.guest_container import GuestContainer
from kata_host.client.identifier import new_id
from kata_host.client.result import Result
from kata_host.client.upload import upload_content
from kata_host.errors import TimedOut
from kata_host.sdk.container_request import ContainerRequest, NewFiles
from kata_host.sdk.output import DRAIN_TIMEOUT, Output
from kata_host.uncancelled import uncancelled
from kata_protos import agent_pb2, oci_pb2
from ttrpc.errors import StatusError, TtrpcError

REMOVAL_TIMEOUT: Final = 10.0
"""Seconds that the guest may take to remove the container of a failed command."""
_OOM_KILL: Final = "oom_kill"
"""The statistic of our agent; other agents have none."""
_KILLED: Final = 128 + signal.SIGKILL


async def run_command(
    client: AgentClient,
    request: ContainerRequest,
    *,
    files: NewFiles,
    input: bytes,
    timeout: float | None,
    output_limit: int | None,
) -> Result:
    """Create the container, run its command and remove it.

    `timeout` seconds are for all of that but the removal. Raises `TimedOut`, and the
    errors of the client.
    """
    output = Output(output_limit)
    program = request.spec.Process.Args[0]
    async with contextlib.AsyncExitStack() as stack:
        async with _in_time(timeout, program, output):
            container = await client.create_container(
                request.id, request.spec, request.storages, share_pids=False
            )
            await stack.enter_async_context(removed(container))
            await write_files(client, request, files)
            await container.start()
            status = await _follow(container.init, container.kill, input, output)
            kills = await _oom_kills(client, container, status)
        return output.to_result(status, oom_killed=kills > 0)


async def run_exec(
    client: AgentClient,
    container: GuestContainer,
    process: oci_pb2.Process,
    *,
    input: bytes,
    timeout: float | None,
    output_limit: int | None,
) -> Result:
    """Run a command in a container that runs. Raises as `run_command` does."""
    output = Output(output_limit)
    async with _in_time(timeout, process.Args[0], output):
        before = await _oom_kills(client, container, 0)
        executed = await container.exec(new_id("exec"), process)

        async def kill() -> None:
            await executed.signal(signal.SIGKILL)

        status = await _follow(executed, kill, input, output)
        kills = await _oom_kills(client, container, status)
    return output.to_result(status, oom_killed=kills > before)


@contextlib.asynccontextmanager
async def _in_time(
    timeout: float | None, program: str, output: Output
) -> AsyncIterator[None]:
    """Cancel the block after `timeout` seconds, and raise `TimedOut` then."""
    try:
        async with asyncio.timeout(timeout) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimedOut(
            f"command {program!r}: not ended after {timeout:g} s",
            output.stdout,
            output.stderr,
        ) from error


async def _follow(
    process: ContainerProcess,
    kill: Callable[[], Awaitable[None]],
    input: bytes,
    output: Output,
) -> int:
    """Stay with a process to its end; return its status. Cancelled, kill it.

    A guest that does not answer then keeps the caller for up to `DRAIN_TIMEOUT`.
    """
    following = asyncio.ensure_future(output.follow(process, input))
    try:
        return await asyncio.shield(following)
    except asyncio.CancelledError:
        # What the command has written is not lost with the read that waits for more.
        with contextlib.suppress(TtrpcError, TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT):
                await kill()
                await asyncio.wait([following])
        raise
    finally:
        following.cancel()
        await asyncio.wait([following])


async def write_files(
    client: AgentClient, request: ContainerRequest, files: NewFiles
) -> None:
    """Make files of the container before it starts; its user owns them, or root where
    the user has a name.

    Raises `ValueError` for a path, `OSError` for a file of the host.
    """
    user = request.spec.Process.User
    for name, content in files.items():
        if isinstance(content, str):
            content = content.encode()
        elif not isinstance(content, bytes):
            content = await asyncio.to_thread(_read, content)
        target = request.path_of(name)
        owner = (user.UID, user.GID)
        await upload_content(client.agent, content, target, owner=owner)


def _read(path: os.PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        return file.read()


async def _oom_kills(
    client: AgentClient, container: GuestContainer, status: int
) -> int:
    """Return how many processes of the container the kernel has killed for memory."""
    request = agent_pb2.StatsContainerRequest(container_id=container.id)
    try:
        stats = await client.agent.stats_container(request)
    except StatusError:
        return 0  # Some agents have no statistics of what has ended.
    memory = stats.cgroup_stats.memory_stats
    if _OOM_KILL in memory.stats:
        return memory.stats[_OOM_KILL]
    return int(status == _KILLED and memory.usage.failcnt > 0)


@contextlib.asynccontextmanager
async def removed(container: GuestContainer) -> AsyncIterator[None]:
    """Remove the container after the block; a caller that is cancelled waits too.

    After an error of the block, and after a cancellation, for up to `REMOVAL_TIMEOUT`
    seconds: a guest that does not answer keeps no caller. No error of the removal is
    raised then.
    """
    removal: asyncio.Future[None] | None = None
    try:
        yield
        removal = asyncio.ensure_future(container.remove())
        await asyncio.shield(removal)
    except BaseException:
        with contextlib.suppress(TtrpcError, TimeoutError):
            left = removal or container.remove()
            await uncancelled(asyncio.wait_for(left, REMOVAL_TIMEOUT))
        raise
