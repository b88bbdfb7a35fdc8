# SPDX-License-Identifier: Apache-2.0
"""Which agent a command talks to: one that serves already, or a guest's of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from kata_host.ctl.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

    from kata_host.client import AgentClient
    from kata_host.guest.guest import Guest
    from ttrpc.interceptor import Interceptor

CONNECT_TIMEOUT: Final = 30.0
VM_CONNECT_TIMEOUT: Final = 120.0
"""Without KVM a guest takes its time."""
ENDING_PATIENCE: Final = 1.0
"""Seconds from the loss of the connection until the guest must have ended."""


class Target:
    """An agent's address and, if the command started it, the guest around it."""

    def __init__(
        self,
        address: str,
        guest: Guest | None = None,
        *,
        scratch: Path | None = None,
        own_rootfs: str | None = None,
        timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self.address = address
        self.guest = guest
        self.scratch = scratch
        """A path for files that the guest sees too, if it sees any of the host's."""
        self.own_rootfs = own_rootfs
        """A directory in the guest that will do for a container, if there is one."""
        self._timeout = timeout

    @contextlib.asynccontextmanager
    async def client(
        self, interceptors: Sequence[Interceptor] = ()
    ) -> AsyncIterator[AgentClient]:
        """Connect; what goes wrong in the block becomes a `CommandError`."""
        from kata_host.client import AgentClient
        from ttrpc.errors import TtrpcError

        try:
            connecting = AgentClient.connect(
                self.address, timeout=self._timeout, interceptors=interceptors
            )
            async with await self._unless_guest_ends(connecting) as client:
                yield client
        except BaseExceptionGroup as group:
            raise self._explain(_first(group)) from group
        except (TtrpcError, ValueError, OSError) as error:
            raise self._explain(error) from error

    async def _unless_guest_ends(
        self, connecting: Awaitable[AgentClient]
    ) -> AgentClient:
        """Do not wait for an agent whose guest has ended."""
        task = asyncio.ensure_future(connecting)
        try:
            while not (await asyncio.wait([task], timeout=0.05))[0]:
                if self.guest is not None and self.guest.ending() is not None:
                    raise OSError("its guest has ended")
            return task.result()
        finally:
            task.cancel()

    def _explain(self, error: BaseException) -> BaseException:
        """Say what happened in one line; a guest that ended explains all else."""
        from ttrpc.errors import StatusError, TtrpcError, sanitize

        if not isinstance(error, (TtrpcError, ValueError, OSError)):
            return error
        if self.guest is not None and not isinstance(error, StatusError):
            ending = self.guest.ending(ENDING_PATIENCE)
            if ending is not None:
                words = ["guest ended", ending, *self.guest.console_tail(1)]
                return CommandError(": ".join(map(sanitize, words)), 125)
        return CommandError(str(error) or type(error).__name__, 125)


@contextlib.contextmanager
def local_guest(options: argparse.Namespace) -> Iterator[Target]:
    """Hold a local guest for the block."""
    from kata_host.guest.local_guest import LocalGuest

    environment = {"KATA_AGENT_LOG_LEVEL": "debug"} if options.debug else {}
    if options.trace:
        environment["KATA_AGENT_TRACING"] = "collated"
    guest = LocalGuest(
        environment=environment,
        cgroup=options.cgroup,
        shared=[] if options.rootfs is None else [options.rootfs],
        echo=options.debug,
    )
    with _held(guest):
        yield Target(guest.address, guest, scratch=guest.directory / "rootfs")


@contextlib.contextmanager
def vm_guest(options: argparse.Namespace) -> Iterator[Target]:
    """Hold a VM for the block; its image is built first if there is none."""
    from kata_host.guest.image.build import ensure
    from kata_host.guest.image.progress import Progress
    from kata_host.guest.vm_command import Machine
    from kata_host.guest.vm_guest import VmGuest

    parameters = ["agent.log=debug"] if options.debug else []
    if options.trace:
        parameters.append("agent.trace=collated")
    guest = VmGuest(ensure(Progress()), machine=Machine(kernel_parameters=parameters))
    with _held(guest):
        # The image is read-only, and has busybox's commands and Python.
        yield Target(guest.address, guest, own_rootfs="/", timeout=VM_CONNECT_TIMEOUT)


@contextlib.contextmanager
def _held(guest: Guest) -> Iterator[None]:
    from kata_host.guest.guest import GuestError

    try:
        with guest:
            yield
    except GuestError as error:
        raise CommandError(str(error), 125) from error


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
