# SPDX-License-Identifier: Apache-2.0
"""A container that stays, for any number of commands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Self

from kata_host.client.container_process import ContainerProcess
from kata_host.client.guest_container import GuestContainer
from kata_host.client.identifier import new_id
from kata_host.client.result import Result
from kata_host.client.spec import default_process
from kata_host.forwarding.published_port import LOOPBACK
from kata_host.quantities import to_duration, to_size
from kata_host.sdk.command import removed, run_exec
from kata_host.sdk.container_request import ContainerRequest
from kata_host.sdk.files import Files
from kata_host.sdk.forward import ANY_PORT, Forward
from kata_host.sdk.guest_connection import GuestConnection
from kata_host.sdk.process import Process
from kata_host.sdk.tools import PLACE
from kata_host.sdk.user import User, to_user
from kata_protos import oci_pb2


class Box:
    """A container that stays up by itself, until the end of the block.

        async with guest.container(image="python.tar") as box:
            await box.files.write("/in.txt", "text")
            result = await box.run(["wc", "/in.txt"])

    Its files are kept between commands, and dropped with it.
    """

    def __init__(
        self,
        connection: GuestConnection,
        prepare: Callable[[], AbstractAsyncContextManager[ContainerRequest]],
    ) -> None:
        """Use `Guest.container` instead."""
        self._connection = connection
        self._prepare = prepare
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Create the container. Raises `SandboxError`, and `ValueError`."""
        async with self._connection.explained():
            client = self._connection.client
            async with contextlib.AsyncExitStack() as stack:
                request = await stack.enter_async_context(self._prepare())
                self._request = request
                self._container: GuestContainer = await client.create_container(
                    request.id, request.spec, request.storages, share_pids=False
                )
                await stack.enter_async_context(removed(self._container))
                await self._container.start()
                self._stack = stack.pop_all()
        self.files = Files(self._start_busybox, request.spec.Process.User)
        """The files of the container."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        async with self._connection.explained():
            await self._stack.__aexit__(*exc_info)  # type: ignore[arg-type]

    @property
    def id(self) -> str:
        """The container's id in the guest."""
        return self._request.id

    async def run(
        self,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: User | None = None,
        input: bytes | str = b"",
        timeout: float | str | None = None,
        output_limit: int | str | None = None,
    ) -> Result:
        """Run a command to its end; arguments and errors are those of `Guest.run`.

        What is left out is that of the container. A command that is not done in time is
        killed, and processes that it has started stay.
        """
        seconds = None if timeout is None else to_duration(timeout)
        size = None if output_limit is None else to_size(output_limit)
        process = self._process(args, env, cwd, user)
        async with self._connection.explained():
            return await run_exec(
                self._connection.client,
                self._container,
                process,
                input=input.encode() if isinstance(input, str) else input,
                timeout=seconds,
                output_limit=size,
            )

    def start(
        self,
        args: Sequence[str],
        *,
        tty: tuple[int, int] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: User | None = None,
    ) -> Process:
        """Return a process to talk to; `async with` starts it.

        `tty` has rows and columns of a terminal; by default the process has pipes. The
        rest is as in `run`.
        """
        process = self._process(args, env, cwd, user, tty)

        async def start() -> ContainerProcess:
            return await self._container.exec(new_id("exec"), process)

        return Process(self._connection, start)

    def forward(
        self, target: int | str, *, host_port: int = ANY_PORT, address: str = LOOPBACK
    ) -> Forward:
        """Return a port of this host for a program of the box; `async with` opens it.

            async with box.forward(8000) as url:

        `target` is the program's port on its 127.0.0.1 or ::1, or the absolute path of
        its unix socket; the box needs no network. This host listens on `host_port`, a
        free one by default, of `address`; only its own programs reach the default.
        Raises `ValueError`, and what `Forward` says.
        """
        return Forward(self._connection, self.id, target, host_port, address)

    def _start_busybox(self, args: Sequence[str]) -> Process:
        return self.start([PLACE, *args], env={"B": PLACE}, user=0)

    def _process(
        self,
        args: Sequence[str],
        env: Mapping[str, str] | None,
        cwd: str | None,
        user: User | None,
        tty: tuple[int, int] | None = None,
    ) -> oci_pb2.Process:
        if isinstance(args, str) or not args:
            raise ValueError(f"command {args!r}: not a list of words")
        own = self._request.spec.Process
        variables = dict(entry.split("=", 1) for entry in own.Env)
        process = default_process(
            args,
            env={**variables, **(env or {})},
            cwd=own.Cwd if cwd is None else cwd,
            terminal=tty is not None,
        )
        process.User.CopyFrom(own.User if user is None else to_user(user))
        if tty is not None:
            process.ConsoleSize.Height, process.ConsoleSize.Width = tty
        return process
