# SPDX-License-Identifier: Apache-2.0
"""`tar` in a container, or in the guest itself, at the other end of a copy."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from kata_host.client.stream_port import Stream, StreamPort, stream_port
from kata_host.client.streamed_process import StreamedProcess
from kata_host.ctl.copy_place import GuestPlace
from kata_host.ctl.errors import (
    NOT_FOUND,
    CommandError,
    ProgramError,
    guest_errors_as_command_errors,
)
from kata_host.ctl.silence import answered
from kata_host.uncancelled import uncancelled

if TYPE_CHECKING:
    from kata_host.client import AgentClient, ContainerProcess, GuestContainer
    from kata_host.client.own_root import OwnRoot
    from kata_host.keeper.record import ContainerRecord
    from ttrpc.errors import StatusError

ERRORS_LIMIT: Final = 4096
"""Bytes of the program's standard error that are looked at."""


class GuestTar:
    """Starts programs where a place is, as root."""

    def __init__(self, client: AgentClient, place: GuestPlace) -> None:
        self._client = client
        self._place = place
        self._container: GuestContainer | None = None
        self._own_root: OwnRoot | None = None
        self._record: ContainerRecord | None = None

    @contextlib.asynccontextmanager
    async def ready(self) -> AsyncIterator[GuestTar]:
        """Be where the place is for the block."""
        container = self._place.container
        if container is not None:
            self._container = self._client.container(container.id)
            self._record = container.record
            yield self
            return
        from kata_host.client.own_root import find_own_root

        async with self._helper() as helper:
            self._container = helper
            self._own_root = await find_own_root(helper)
            yield self

    @contextlib.asynccontextmanager
    async def _helper(self) -> AsyncIterator[GuestContainer]:
        """Have a container for the block that sees the guest's own files."""
        from kata_host.client.identifier import new_id
        from kata_host.client.own_root import own_root_mounts
        from kata_host.client.spec import default_process, default_spec, writable_layer

        name = new_id("cp")
        storage, root = writable_layer(name, "/")
        process = default_process(["sleep", "infinity"])
        spec = default_spec(name, process, rootfs=root, mounts=own_root_mounts())
        with self._recorded(name, list(process.Args)):
            async with self._client.started_container(name, spec, [storage]) as helper:
                yield helper

    @contextlib.contextmanager
    def _recorded(self, name: str, command: list[str]) -> Iterator[None]:
        """Have a record for the block, so that `ps` removes what a killed copy left."""
        from kata_host.keeper.held_record import HeldRecord
        from kata_host.keeper.record import ContainerRecord

        entry = self._place.target.entry
        if entry is None:
            yield
            return
        now = time.time()
        with guest_errors_as_command_errors():
            record = ContainerRecord(
                name, entry.name, command, created=now, started=now, remove=True
            )
            held = HeldRecord.create(record)
        self._record = record
        try:
            yield
        finally:
            held.remove()
            held.close()

    async def is_directory(self, path: str) -> bool:
        """Tell whether there is a directory at `path`."""
        async with self.running(["test", "-d", path]) as (process, errors):
            await answered(errors, "test")
            return await answered(process.wait(), "test") == 0

    @contextlib.asynccontextmanager
    async def running(
        self,
        command: Sequence[str],
        streamed: Stream | None = None,
        *,
        cleans_up: bool = False,
    ) -> AsyncIterator[tuple[ContainerProcess, asyncio.Future[bytes]]]:
        """Have a program with paths of the place for the block; end it if that fails.

        The stream `streamed` has many bytes. A program that `cleans_up` does so when
        its input ends. Yields the program, and what will be the beginning of its
        standard error. Raises `CommandError`.
        """
        from kata_host.keeper.held_exec import held_exec

        with held_exec(self._record, cleans_up=cleans_up) as id:
            process = await self._start(id, command, streamed)
            errors = asyncio.ensure_future(read_errors(process))
            try:
                yield process, errors
            except BaseException:
                await uncancelled(_end(process, cleans_up=cleans_up))
                raise
            finally:
                if isinstance(process, StreamedProcess):
                    process.close()
                errors.cancel()
                await asyncio.wait([errors])
                if not errors.cancelled():
                    # Retrieved, so that asyncio does not log it beside the block's own.
                    errors.exception()

    async def finish(self, process: ContainerProcess, errors: bytes) -> None:
        """Wait for the end of a program.

        Raises `CommandError` if it fails or does not end.
        """
        if status := await answered(process.wait(), "tar"):
            lines = errors[:ERRORS_LIMIT].decode(errors="replace").strip().splitlines()
            reason = lines[0] if lines else f"tar ended with status {status}"
            if self._own_root is not None:
                reason = self._own_root.explained(reason)
            raise CommandError(f"cp: {reason}")

    async def _start(
        self, id: str, command: Sequence[str], streamed: Stream | None
    ) -> ContainerProcess:
        from ttrpc.codes import Code
        from ttrpc.errors import StatusError

        if self._own_root is not None:
            command = ["chroot", self._own_root.path, *command]
        try:
            if streamed is not None:
                with stream_port(self._place.target.address, streamed) as port:
                    try:
                        return await self._exec(id, command, port)
                    except StatusError as error:
                        # It did not reach the port.
                        if port is None or error.code != Code.UNAVAILABLE:
                            raise
            return await self._exec(id, command)
        except StatusError as error:
            raise self._explained(error, command[0]) from error

    async def _exec(
        self, id: str, command: Sequence[str], port: StreamPort | None = None
    ) -> ContainerProcess:
        from kata_host.client.spec import additional_process
        from kata_host.client.user import parse_user

        assert self._container is not None
        process = additional_process(command, cwd="/")
        root = parse_user("0:0")
        return await self._container.exec(id, process, user=root, port=port)

    def _explained(self, error: StatusError, program: str) -> CommandError:
        failure = ProgramError(str(error))
        if failure.run_status == NOT_FOUND and self._place.container is not None:
            name = self._place.container.id
            return CommandError(f"container '{name}': has no program '{program}'")
        return failure


async def _end(process: ContainerProcess, *, cleans_up: bool) -> None:
    """Leave nothing of a program in its container, which may be gone itself."""
    from kata_host.client.ended_start import ENDING_TIMEOUT
    from ttrpc.errors import TtrpcError

    with contextlib.suppress(TtrpcError):
        if cleans_up:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ENDING_TIMEOUT):
                    await process.close_stdin()
                    await process.wait()
                    return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ENDING_TIMEOUT):
                await process.signal(signal.SIGKILL)
                await process.wait()


async def read_errors(process: ContainerProcess) -> bytes:
    """Return the beginning of standard error, and read it to its end."""
    kept = b""
    async for data in process.read_stderr():
        kept = (kept + data)[:ERRORS_LIMIT]
    return kept
