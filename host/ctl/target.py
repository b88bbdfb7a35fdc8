# SPDX-License-Identifier: Apache-2.0
"""The agent that a command talks to, in a guest that runs or in one of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Self, TypeVar

from kata_host.ctl.errors import CommandError, ProgramError, UsageError
from kata_host.ctl.patience import saying
from kata_host.explain import explain

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from kata_host.client import AgentClient
    from kata_host.guest.guest import OwnGuest
    from kata_host.guest.guest_entry import GuestEntry
    from ttrpc.interceptor import Interceptor

CONNECT_TIMEOUT: Final = 5.0
"""Seconds to try to reach a guest that runs already."""
START_TIMEOUT: Final = 120.0
"""Seconds to try to reach the agent of a guest that this command has started: a VM
without KVM needs most of them."""
ENDING_PATIENCE: Final = 1.0
"""Seconds that a guest may take to end once the connection to its agent is lost."""
_GUEST_CHECK_INTERVAL: Final = 0.05
_NOBODY: Final = {errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED, errno.ENODEV}
"""What the kernel says of an address at which nothing listens."""

T = TypeVar("T")


class Target:
    """An agent's address and, if the command started it, the guest around it."""

    def __init__(
        self,
        address: str,
        guest: OwnGuest | None = None,
        *,
        scratch: Path | None = None,
        own_rootfs: str | None = None,
        entry: GuestEntry | None = None,
        timeout: float | None = None,
    ) -> None:
        """Without a `timeout`, an address at which nothing listens fails at once."""
        self.address = address
        self.guest = guest
        self.entry = entry
        """The guest in the registry, if it is one of `guest list`."""
        self.scratch = scratch
        """A path at which files can be made that the guest sees under the same path;
        None if the guest sees no files of the host."""
        self.own_rootfs = own_rootfs
        """A directory of the guest that can be a container's root, if there is one."""
        self._timeout = CONNECT_TIMEOUT if timeout is None else timeout
        self._is_patient = timeout is not None

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        """Return the target that `--guest` and `--connect-timeout` name.

        Raises `CommandError`.
        """
        from kata_host.ctl.guest_address import address_of, entry_of

        entry = entry_of(options.guest)
        return cls(
            address_of(options.guest) if entry is None else entry.address,
            # The image of a VM is read-only, and has busybox's commands and Python.
            own_rootfs="/" if entry is not None and entry.kind == "vm" else None,
            entry=entry,
            timeout=options.connect_timeout,
        )

    @contextlib.asynccontextmanager
    async def client(
        self, interceptors: Sequence[Interceptor] = ()
    ) -> AsyncIterator[AgentClient]:
        """Connect for the block. An error of the agent, the connection or the operating
        system that leaves the block becomes a `CommandError`.
        """
        from kata_host.client import AgentClient
        from ttrpc.errors import TtrpcError

        try:
            connecting = self._connect(
                lambda timeout: AgentClient.connect(
                    self.address, timeout=timeout, interceptors=interceptors
                )
            )
            with saying(f"waiting for the agent at {self.address}"):
                connected = await self._unless_guest_ends(connecting)
            async with connected as client:
                yield client
        except BaseExceptionGroup as group:
            raise self._explain(_first(group)) from group
        except (TtrpcError, ValueError, OSError) as error:
            raise self._explain(error) from error

    async def dial(self, port: int) -> socket.socket:
        """Connect to another port of the guest. Raises `CommandError`."""
        from kata_host.guest.guest_port import port_beside
        from ttrpc.aio.dial import dial
        from ttrpc.errors import TtrpcError

        try:
            there = port_beside(self.address, port)
        except ValueError as error:
            raise UsageError(str(error)) from error
        try:
            with saying(f"waiting for port {port} of {self.address}"):
                return await self._connect(lambda timeout: dial(there, timeout=timeout))
        except (TtrpcError, OSError) as error:
            raise CommandError(explain(error)) from error

    async def dial_if_served(self, port: int) -> socket.socket | None:
        """Connect to a port that the guest may not have; return None if it has not."""
        from kata_host.guest.guest_port import port_beside
        from ttrpc.aio.dial import dial
        from ttrpc.errors import Closed

        try:
            return await dial(port_beside(self.address, port), timeout=None)
        except (Closed, ValueError):
            return None

    async def _connect(self, connect: Callable[[float | None], Awaitable[T]]) -> T:
        """Connect, again and again while a guest boots.

        Where nothing listens the first attempt is the last, unless we are told how long
        to wait, or have started the guest: its socket is made before the guest.
        """
        from ttrpc.errors import Closed

        if not self._is_patient and self.guest is None:
            try:
                return await connect(None)
            except Closed as error:
                cause = error.__cause__
                if isinstance(cause, OSError) and cause.errno in _NOBODY:
                    raise
        return await connect(self._timeout)

    async def _unless_guest_ends(
        self, connecting: Awaitable[AgentClient]
    ) -> AgentClient:
        """Wait for the connection, but not for that of a guest that has ended."""
        task = asyncio.ensure_future(connecting)
        try:
            while not (await asyncio.wait([task], timeout=_GUEST_CHECK_INTERVAL))[0]:
                if self.guest is not None and self.guest.ending() is not None:
                    raise OSError("guest has ended")
            return task.result()
        finally:
            task.cancel()

    def _explain(self, error: BaseException) -> BaseException:
        """Return the error for the user: if the guest has ended, that is the cause."""
        from ttrpc.errors import StatusError, TtrpcError

        if not isinstance(error, (TtrpcError, ValueError, OSError)):
            return error
        if self.guest is not None and not isinstance(error, StatusError):
            ending = self.guest.ending(ENDING_PATIENCE)
            if ending is not None:
                words = ["guest ended", ending, *self.guest.console_tail(1)]
                return CommandError(": ".join(words))
        kind = ProgramError if isinstance(error, StatusError) else CommandError
        return kind(explain(error))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
