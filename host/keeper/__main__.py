# SPDX-License-Identifier: Apache-2.0
"""`python -m kata_host.keeper JSON`: keep a detached container until its end.

    kata-agent-ctl run -d ──> keeper ──> the guest's agent
                          ──> a line on its input, once the container runs

The keeper has inherited the lock of the container's record. It outlives the command, in
a session of its own. If the command ends before it has written that line, in any way,
the keeper removes the container. Until the container's end, it serves the ports of this
host that are published.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from typing import Final

from kata_host.client import AgentClient, ContainerProcess
from kata_host.client.container_process import process_may_have_ended
from kata_host.explain import explain
from kata_host.guest.held_guest import stop_guest
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.keep_request import KeepRequest
from kata_host.keeper.output_log import OutputLog
from kata_host.keeper.record import ContainerRecord
from kata_host.keeper.records import parse_open
from kata_host.starter import forget_starter
from ttrpc.errors import TtrpcError

DROP_TIMEOUT: Final = 1.0
"""Seconds to try to reach the agent once more."""


def main() -> int:
    """Keep the container of the request in argv; return the exit status."""
    forget_starter()
    # Those of the command's terminal.
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    request = KeepRequest(**json.loads(sys.argv[1]))
    print("ready", flush=True)
    is_kept = bool(sys.stdin.buffer.readline())
    record = parse_open(request.fd)
    if record is None:
        return 1
    held = HeldRecord(record, request.fd)
    if not is_kept:
        asyncio.run(_drop(held, request.address))
        return 0
    try:
        asyncio.run(_keep(held, request))
    except* (TtrpcError, OSError) as errors:
        held.write(ended=time.time(), error=explain(_first(errors)))
    if held.record.remove:
        held.remove()
        if held.record.owns_guest:
            stop_guest(held.record.guest)
    return 0


async def _keep(held: HeldRecord, request: KeepRequest) -> None:
    """Keep the output, and how the container ended; serve its ports meanwhile."""
    record = held.record
    log = OutputLog(held.folder)
    try:
        async with (
            AgentClient.connect(request.address) as client,
            _published(record, request),
        ):
            container = client.container(record.id, terminal=record.tty)
            if not record.interactive:
                with process_may_have_ended():
                    await container.init.close_stdin()
            await _copy_output(container.init, log)
            status = await container.init.wait()
            if record.remove:
                await container.remove()
            held.write(status=status, ended=time.time())
    finally:
        log.close()


@contextlib.asynccontextmanager
async def _published(
    record: ContainerRecord, request: KeepRequest
) -> AsyncIterator[None]:
    """Serve the ports of a container during the block."""
    if not request.listeners:
        yield
        return
    from kata_host.forwarding.local_port import LocalPort
    from kata_host.forwarding.published_port import PublishedPort

    async with contextlib.AsyncExitStack() as stack:
        for fd, words in zip(request.listeners, record.ports, strict=True):
            listener = stack.enter_context(socket.socket(fileno=fd))
            listener.setblocking(False)
            published = PublishedPort.parse(words)
            port = LocalPort(
                published, request.address, record.id, _tell_nobody, listener
            )
            await stack.enter_async_context(port)
        yield


def _tell_nobody(reason: str) -> None:
    """Leave the reset to say that a connection is refused: no terminal is left."""


async def _copy_output(process: ContainerProcess, log: OutputLog) -> None:
    streams = [(1, process.read_stdout())]
    if not process.terminal:
        streams.append((2, process.read_stderr()))
    async with asyncio.TaskGroup() as group:
        for number, chunks in streams:
            group.create_task(_copy(number, chunks, log))


async def _copy(number: int, chunks: AsyncIterator[bytes], log: OutputLog) -> None:
    async for data in chunks:
        # Without room for it, the output is lost, and the container goes on.
        with contextlib.suppress(OSError):
            log.write(number, data)


async def _drop(held: HeldRecord, address: str) -> None:
    """Remove a container whose command was killed, and its record."""
    with contextlib.suppress(TtrpcError, OSError):
        async with AgentClient.connect(address, timeout=DROP_TIMEOUT) as client:
            await client.container(held.record.id).remove()
    held.remove()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


if __name__ == "__main__":
    sys.exit(main())
