# SPDX-License-Identifier: Apache-2.0
"""A command to its end, in a container of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Final

from kata_host.client.agent_client import AgentClient
from kata_host.client.guest_container import GuestContainer
from kata_host.client.result import Result
from kata_host.client.upload import upload_content
from kata_host.errors import TimedOut
from kata_host.sdk.container_request import ContainerRequest, Files
from kata_host.sdk.output import DRAIN_TIMEOUT, Output
from kata_host.sdk.uncancelled import uncancelled
from kata_protos import agent_pb2
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
    files: Files,
    input: bytes,
    timeout: float | None,
    output_limit: int | None,
) -> Result:
    """Create the container, run its command and remove it.

    `timeout` seconds are for all of that but the removal. Raises `TimedOut`, and the
    errors of the client.
    """
    output = Output(output_limit)
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(timeout) as limit:
                container = await client.create_container(
                    request.id, request.spec, [request.storage], share_pids=False
                )
                await stack.enter_async_context(removed(container))
                status = await _run(client, container, request, files, input, output)
                oom_killed = await _is_oom_killed(client, container, status)
        except TimeoutError as error:
            if not limit.expired():
                raise
            program = request.spec.Process.Args[0]
            raise TimedOut(
                f"command {program!r}: not ended after {timeout:g} s",
                output.stdout,
                output.stderr,
            ) from error
        return Result(
            status,
            output.stdout,
            output.stderr,
            oom_killed=oom_killed,
            is_cut=output.is_cut,
        )


async def _run(
    client: AgentClient,
    container: GuestContainer,
    request: ContainerRequest,
    files: Files,
    input: bytes,
    output: Output,
) -> int:
    await write_files(client, request, files)
    await container.start()
    following = asyncio.ensure_future(output.follow(container.init, input))
    try:
        await asyncio.shield(following)
    except asyncio.CancelledError:
        # What the command has written is not lost with the read that waits for more.
        with contextlib.suppress(TtrpcError):
            await container.kill()
        await asyncio.wait([following], timeout=DRAIN_TIMEOUT)
        raise
    finally:
        following.cancel()
        await asyncio.wait([following])
    return await container.init.wait()


async def write_files(
    client: AgentClient, request: ContainerRequest, files: Files
) -> None:
    """Make files of the container before it starts; its user owns them.

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


async def _is_oom_killed(
    client: AgentClient, container: GuestContainer, status: int
) -> bool:
    """Return whether the kernel has killed a process of the container for memory."""
    request = agent_pb2.StatsContainerRequest(container_id=container.id)
    try:
        stats = await client.agent.stats_container(request)
    except StatusError:
        return False  # Some agents have no statistics of what has ended.
    memory = stats.cgroup_stats.memory_stats
    if _OOM_KILL in memory.stats:
        return memory.stats[_OOM_KILL] > 0
    return status == _KILLED and memory.usage.failcnt > 0


@contextlib.asynccontextmanager
async def removed(container: GuestContainer) -> AsyncIterator[None]:
    """Remove the container after the block; a caller that is cancelled waits too.

    After an error of the block for up to `REMOVAL_TIMEOUT` seconds, and no error of the
    removal is raised then.
    """
    try:
        yield
    except BaseException:
        with contextlib.suppress(TtrpcError, TimeoutError):
            removal = asyncio.wait_for(container.remove(), REMOVAL_TIMEOUT)
            await uncancelled(removal)
        raise
    await uncancelled(container.remove())
