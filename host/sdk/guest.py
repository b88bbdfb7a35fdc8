# SPDX-License-Identifier: Apache-2.0
"""A guest, as a program uses it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from kata_host.client.agent_client import AgentClient
from kata_host.client.identifier import new_id
from kata_host.client.limits import Limits
from kata_host.client.result import Result
from kata_host.client.spec import NO_LIMITS
from kata_host.client.user_network import resolv_conf_mount
from kata_host.forwarding.guest_socket import GUEST
from kata_host.forwarding.published_port import LOOPBACK
from kata_host.guest.guest import FORWARD_OPTION, GuestError, OwnGuest
from kata_host.guest.vm_disks import monitor_at
from kata_host.network import Network, check_network
from kata_host.quantities import to_duration, to_size
from kata_host.sdk.box import Box
from kata_host.sdk.command import run_command
from kata_host.sdk.container_request import (
    ContainerRequest,
    NewFiles,
    container_request,
)
from kata_host.sdk.files import Files
from kata_host.sdk.forward import ANY_PORT, Forward
from kata_host.sdk.guest_connection import GuestConnection
from kata_host.sdk.own_files import OwnFiles
from kata_host.sdk.recorded import recorded
from kata_host.sdk.roots import Roots
from kata_host.sdk.thread_guest import ThreadGuest
from kata_host.sdk.tools import HOLD, Tools
from kata_host.sdk.user import User
from kata_host.sdk.volume import Volumes
from kata_host.sdk.volume_sharing import VolumeSharing
from kata_host.uncancelled import uncancelled
from kata_protos import oci_pb2

CONNECT_TIMEOUT: Final = 5.0
"""Seconds to try to reach a guest that runs already."""
VM_BUSYBOX: Final = "/usr/bin/busybox"
"""In the image of VM guests."""
NO_FILES: Final[NewFiles] = {}
NO_VOLUMES: Final[Volumes] = {}


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the SDK knows of a guest beforehand."""

    sees_host: bool = False
    """Whether paths of the host lead to the same files in the guest."""
    busybox: str | None = None
    """The guest's path of a busybox without libraries, if it has one for sure."""


class Guest:
    """A guest, in which commands run in containers of their own.

        async with Guest.local() as guest:
            result = await guest.run(["uname", "-a"])

    The block is entered when the agent answers. At its end, a guest of this program is
    ended and nothing is left of it; a guest that was connected to stays as it is. Any
    number of commands may run at a time, in the event loop that has entered the block.
    """

    def __init__(self, connect: Callable[[], Awaitable[GuestConnection]]) -> None:
        """Use `local`, `vm` or `connect` instead."""
        self._connect = connect
        self._connection: GuestConnection | None = None
        self._is_starting = False
        self._roots: Roots | None = None
        self._sharing: VolumeSharing | None = None
        self._tools: Tools | None = None
        self._own_files: OwnFiles | None = None
        self._kind = _Kind()
        self._prefers_warm = False

    @classmethod
    def local(cls, *, network: Network = "none") -> Self:
        """Return a local guest: namespaces of this host, for development.

        It starts in a fraction of a second, needs root, and isolates nothing: its own
        root is the host's, which containers and `files` see and do not change. With the
        network `user`, commands reach what this host reaches, by slirp4netns; with
        `none`, nothing. Raises `ValueError`.
        """
        check_network(network)

        def make() -> OwnGuest:
            return _local_guest(network)

        guest = cls(lambda: GuestConnection.start(ThreadGuest(make), network))
        guest._kind = _Kind(sees_host=True)
        return guest

    @classmethod
    def vm(
        cls,
        *,
        cpus: int = 1,
        memory: int | str = "512m",
        network: Network = "none",
        warm: bool | None = None,
    ) -> Self:
        """Return a virtual machine of QEMU, which isolates what runs in it.

        `memory` is in bytes, or a text such as `1g`; MiB are counted. The image is
        built at the first start. With the network `user`, commands reach what this
        host reaches, by slirp4netns, but no service on its loopback; with `none`,
        nothing.

        A `warm` VM is restored from a snapshot instead of booted, which is several
        times faster. The first start of a kind makes the snapshot. By default the VMs
        of a `Pool` are warm, and others are not. Raises `ValueError`.
        """
        check_network(network)
        size = to_size(memory)
        if cpus < 1:
            raise ValueError(f"cpus {cpus!r}: not a whole number of 1 or more")
        if size < 1 << 20:
            raise ValueError(f"memory {memory!r}: less than 1 MiB")

        def make() -> OwnGuest:
            is_warm = guest._prefers_warm if warm is None else warm
            return _vm_guest(cpus, size >> 20, network, is_warm)

        guest = cls(lambda: GuestConnection.start(ThreadGuest(make), network))
        guest._kind = _Kind(busybox=VM_BUSYBOX)
        return guest

    @classmethod
    def connect(cls, guest: str, *, timeout: float = CONNECT_TIMEOUT) -> Self:
        """Return a guest that runs already, by its name or the address of its agent.

        Names are those of `kata-agent-ctl guest list`; `kata-agent-ctl ps` shows the
        containers there, and those of a program that was killed are removed with the
        next command, or by the next program that connects. The agent may be any that
        speaks the Kata API. Entering the block raises `NotFound` if there is no guest
        of that name, `GuestError` if it does not run, `GuestEnded` if no agent answers
        within `timeout` seconds, and `ValueError` if the address is not one.
        """

        async def connect() -> GuestConnection:
            address, network, name = await asyncio.to_thread(_find, guest)
            return await GuestConnection.to(address, timeout, network, name)

        return cls(connect)

    async def start(self) -> Self:
        """Start the guest, or connect to it; what entering the block does.

        Raises `SandboxError`: `GuestError` if the guest cannot be started, `GuestEnded`
        if it ends by itself meanwhile. Nothing is left of it then, nor if the caller is
        cancelled.
        """
        if self._is_starting or self._connection is not None:
            raise RuntimeError("guest: already started")
        self._is_starting = True
        try:
            connection = await self._connect()
        finally:
            self._is_starting = False
        sees_host = self._kind.sees_host
        monitor = monitor_at(connection.address)
        self._roots = Roots(connection.client, sees_host=sees_host, monitor=monitor)
        self._sharing = VolumeSharing(sees_host=sees_host, monitor=monitor)
        self._tools = Tools(connection.client, self._kind.busybox)
        self._own_files = OwnFiles(connection, self._tools)
        self._connection = connection
        return self

    def prefer_warm(self) -> Self:
        """Have a VM warm for which `warm` says nothing; what a `Pool` does."""
        self._prefers_warm = True
        return self

    async def stop(self) -> None:
        """End the guest, or the connection to it; what leaving the block does.

        A caller that is cancelled waits too.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            await uncancelled(self._end(connection))

    async def _end(self, connection: GuestConnection) -> None:
        assert self._roots is not None
        assert self._own_files is not None
        try:
            await self._own_files.close()
            await self._roots.close()
        finally:
            await connection.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @property
    def client(self) -> AgentClient:
        """The client of the guest's agent, for every call of its API."""
        return self._running().client

    @property
    def files(self) -> Files:
        """The files of the guest itself; those of a container are `Box.files`."""
        self._running()
        assert self._own_files is not None
        return self._own_files.files

    async def run(
        self,
        args: Sequence[str],
        *,
        image: str | os.PathLike[str] | None = None,
        files: NewFiles = NO_FILES,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: User | None = None,
        limits: Limits = NO_LIMITS,
        volumes: Volumes = NO_VOLUMES,
        input: bytes | str = b"",
        timeout: float | str | None = None,
        output_limit: int | str | None = None,
    ) -> Result:
        """Run a command to its end, in a container of its own that is removed then.

        Args:
            args: The program, searched for in `PATH`, and its arguments.
            image: The root file system, a directory or an archive of this host, a
                saved image, or a name of the image store; the guest's own by default.
                The command's changes to it are dropped.
            files: Files to make first: their paths, absolute or below `cwd`, and their
                contents as bytes, text, or a path of this host. A `user` with numbers
                owns them; those for a name are root's. All may be read by everybody.
            env: Variables beside `PATH`, `HOME` and those of the image.
            cwd: The working directory, an absolute path; the image's by default.
            user: A uid, which is the gid too, `(uid, gid)`, `"1000:1000"` or a name of
                the image's /etc/passwd; the image's by default, else root.
            limits: The most memory, CPU time and processes.
            volumes: Folders and files of this host that the container sees: a path
                there, and one here; `:ro` at its end is read-only. A VM has them by
                virtiofsd.
            input: Standard input, after which it is at its end.
            timeout: Seconds, or a text such as `1m30s`, from the creation of the
                container to the end of the command.
            output_limit: Bytes, or a text such as `1m`, that are kept of each of the
                two outputs; the rest is dropped, and `is_cut` says so.

        Raises:
            NotFound: There is no such command, no such image, or no such file of this
                host.
            FileError: A file of this host cannot be read.
            ImageError: The image is not what it should be, or cannot be taken.
            CannotExecute: The command's file cannot be executed.
            TimedOut: The command has not ended in time; the error has its output.
            GuestEnded: The guest has ended, or the connection is lost.
            AgentError: The agent has refused.
            ValueError: An argument is wrong.
        """
        connection = self._running()
        seconds = None if timeout is None else to_duration(timeout)
        size = None if output_limit is None else to_size(output_limit)
        async with connection.explained():
            async with self._request(
                args, image, env, cwd, user, limits, volumes, []
            ) as request:
                return await run_command(
                    connection.client,
                    request,
                    files=files,
                    input=input.encode() if isinstance(input, str) else input,
                    timeout=seconds,
                    output_limit=size,
                )

    def container(
        self,
        *,
        image: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        user: User | None = None,
        limits: Limits = NO_LIMITS,
        volumes: Volumes = NO_VOLUMES,
    ) -> Box:
        """Return a container that stays up by itself; `async with` creates it.

        The arguments are those of `run`; `env`, `cwd` and `user` are for the commands
        that say nothing else. The image needs no program for that: a busybox of the
        guest's, or of this host's, is at `/dev/busybox`.
        """

        @contextlib.asynccontextmanager
        async def prepare() -> AsyncIterator[ContainerRequest]:
            tools = await self._running_tools().mount()
            async with self._request(
                HOLD, image, env, cwd, user, limits, volumes, [tools]
            ) as request:
                yield request

        return Box(self._running(), prepare)

    def forward(
        self, target: int | str, *, host_port: int = ANY_PORT, address: str = LOOPBACK
    ) -> Forward:
        """Return a port of this host for a program of the guest itself.

        The rest is as in `Box.forward`.
        """
        return Forward(self._running(), GUEST, target, host_port, address)

    @contextlib.asynccontextmanager
    async def _request(
        self,
        args: Sequence[str],
        image: str | os.PathLike[str] | None,
        env: Mapping[str, str] | None,
        cwd: str | None,
        user: User | None,
        limits: Limits,
        volumes: Volumes,
        mounts: Sequence[oci_pb2.Mount],
    ) -> AsyncIterator[ContainerRequest]:
        """Provide a request for a container that ends with the block."""
        assert self._roots is not None
        assert self._sharing is not None
        root = await self._roots.find(image)
        async with self._sharing.shared(volumes) as (shared, storages):
            request = container_request(
                new_id(),
                args,
                root,
                env=env,
                cwd=cwd,
                user=user,
                limits=limits,
                mounts=[*shared, *mounts, *self._network_mounts()],
                storages=storages,
            )
            async with recorded(self._running(), request, image, limits, volumes):
                yield request

    def _network_mounts(self) -> list[oci_pb2.Mount]:
        has_network = self._running().network == "user"
        return [resolv_conf_mount()] if has_network else []

    def _running_tools(self) -> Tools:
        assert self._tools is not None
        return self._tools

    def _running(self) -> GuestConnection:
        if self._connection is None:
            raise RuntimeError("guest: not started; enter `async with` first")
        return self._connection


def _find(guest: str) -> tuple[str, Network, str | None]:
    """Return the address of a guest's agent, the guest's network, and its name.

    A guest of `guest list` is rid of what programs have left there that were killed.
    """
    from kata_host.guest.guest_address import find_address, find_entry

    try:
        entry = find_entry(guest)
    except GuestError:
        if "://" not in guest:
            raise
        # A registry that cannot be used is no matter of an address.
        entry = None
    if entry is None:
        return find_address(guest), "none", None
    from kata_host.keeper.leftovers import remove_abandoned_in

    remove_abandoned_in([entry])
    return entry.address, entry.network, entry.name


def _local_guest(network: Network) -> OwnGuest:
    from kata_host.guest.local_guest import LocalGuest

    return LocalGuest(network=network, parameters=[FORWARD_OPTION])


def _vm_guest(cpus: int, memory: int, network: Network, is_warm: bool) -> OwnGuest:
    """Return a VM with `memory` MiB. May build the image."""
    from kata_host.guest.vm_command import Machine
    from kata_host.guest.vm_guest import VmGuest
    from kata_host.guest.vm_image import ready_image
    from kata_host.guest.warm_vm_guest import WarmVmGuest

    least = Machine()
    machine = Machine(
        memory=memory,
        memory_limit=max(memory, least.memory_limit),
        cpus=cpus,
        cpus_limit=max(cpus, least.cpus_limit),
        network=network,
        kernel_parameters=[FORWARD_OPTION],
    )
    kind = WarmVmGuest if is_warm else VmGuest
    return kind(ready_image(), machine=machine)
