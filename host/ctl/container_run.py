# SPDX-License-Identifier: Apache-2.0
"""One container of `run`: its record on the host, its files, its life in the guest."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from kata_host.ctl.container_options import (
    limits_of,
    rootfs_words,
    spec_of,
    volumes_of,
)
from kata_host.ctl.errors import UsageError, guest_errors_as_command_errors
from kata_host.ctl.guest_network import network_mounts
from kata_host.ctl.patience import saying
from kata_host.ctl.published_ports import PublishedPorts

if TYPE_CHECKING:
    import subprocess

    from kata_host.client import AgentClient, GuestContainer
    from kata_host.client.volume import Volume
    from kata_host.ctl.run_image import RunImage
    from kata_host.ctl.target import Target
    from kata_host.keeper.held_record import HeldRecord
    from kata_host.keeper.record import ContainerRecord
    from kata_protos import agent_pb2, oci_pb2

Layers: TypeAlias = "tuple[Sequence[agent_pb2.Storage], str]"
"""Storages of a container, and the path of its root."""

_OF_THE_GUEST: Final = ("/run", "/dev", "/proc", "/sys")
"""Directories that a local guest has for itself."""


class ContainerRun:
    """A container that is about to run. As a context manager, it owns the record."""

    def __init__(
        self,
        options: argparse.Namespace,
        target: Target,
        name: str,
        image: RunImage | None = None,
    ) -> None:
        """Raises `UsageError` for what cannot be done in the guest of `target`."""
        self._options = options
        self._target = target
        self._name = name
        self._image = image
        self._held: HeldRecord | None = None
        self._is_let_go = False
        self._monitor: Path | None = None
        self._volumes = self._checked_volumes()
        self._ports = PublishedPorts(options.publish)
        if options.pid == "container" and target.entry is not None:
            # Its sandbox says so for all (agent/sandbox/container_builder.py).
            raise UsageError(
                "--pid container: the containers of a guest that stays share their pids"
            )
        if options.detach and target.entry is None:
            raise UsageError(
                "--detach: needs a guest of `guest list`, or none for one of its own"
            )

    @property
    def scratch(self) -> Path | None:
        """A path for the root file system, which the guest sees; None for none."""
        if self._held is not None and self._is_local:
            return self._held.folder / "rootfs"
        return self._target.scratch

    def __enter__(self) -> Self:
        """Take the name. Raises `GuestError` if the guest has such a container."""
        from kata_host.keeper.held_record import HeldRecord

        if self._target.entry is not None:
            self._held = HeldRecord.create(self._record(self._target.entry.name))
            if self._image is not None:
                try:
                    self._image.keep(self._held.folder)
                except BaseException:
                    self.__exit__()
                    raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._held is not None:
            if not self._is_let_go:
                self._held.remove()
            self._held.close()

    async def run(self, rootfs: Path | None, started: int) -> int:
        """Run the container from its image, or over `rootfs`, None for the guest's own.

        `started` is the beginning of the command, in nanoseconds since the epoch.
        Returns the exit status: that of the container, or 0 if it stays.
        """
        options, target = self._options, self._target
        async with contextlib.AsyncExitStack() as stack:
            interceptors = []
            if options.trace:
                from kata_host.ctl.run_trace import RunTrace

                assert target.guest is not None
                run_trace = RunTrace(
                    target.guest, "kata-agent-ctl run", started, options.html
                )
                await stack.enter_async_context(run_trace)
                interceptors.append(run_trace.interceptor)
            client = await stack.enter_async_context(target.client(interceptors))
            if target.guest is not None:
                await client.create_sandbox(
                    self._name,
                    hostname=options.hostname or "",
                    share_pids=self._shares_pids,
                    network=options.network,
                )
            if self._image is not None:
                storages, root = await self._image_root(self._image)
            else:
                storages, root = await self._layers(client, rootfs)
            shared, volumes = await self._volumes_in_guest(stack)
            volumes = [*volumes, *await self._init_in_guest(client)]
            status = await self._run_in(client, [*storages, *shared], root, volumes)
            if target.guest is not None:
                await client.destroy_sandbox()
            return status

    async def _image_root(self, image: RunImage) -> Layers:
        """Return what a container of an image has, in a VM that runs from a disk."""
        if image.disk is None or self._options.devices:
            return image.storages(self._name)
        from kata_host.guest.vm_disks import monitor_at, plug_disk

        monitor = monitor_at(self._target.address)
        assert monitor is not None
        # The disk is used as long as this folder exists.
        folder = monitor.parent if self._held is None else self._held.folder
        with guest_errors_as_command_errors():
            address = await asyncio.to_thread(plug_disk, monitor, folder, image.disk)
        return image.storages(self._name, address)

    async def _layers(self, client: AgentClient, rootfs: Path | None) -> Layers:
        from kata_host.client.spec import writable_layer

        lower = await self._rootfs_in_guest(client, rootfs)
        storage, root = writable_layer(self._name, lower)
        return [storage], root

    async def _run_in(
        self,
        client: AgentClient,
        storages: Sequence[agent_pb2.Storage],
        root: str,
        volumes: list[Volume],
    ) -> int:
        spec = spec_of(self._options, self._name, root, volumes, self._rootfs_words)
        spec.Mounts.extend(network_mounts(self._options, self._target))
        await self._ports.check(self._target.address)
        with self._ports:
            self._tell_ports()
            if self._options.detach:
                return await self._start_detached(client, spec, storages)
            return await self._run_attached(client, spec, storages)

    def _tell_ports(self) -> None:
        """Say which ports were free; have all of them in the record."""
        ports = self._ports
        for (place, target), asked in zip(ports.places, ports.asked, strict=True):
            if not asked.port:
                print(f"{place} -> {target}", file=sys.stderr)
        if self._held is not None and ports.asked:
            self._held.write(ports=ports.words)

    async def _start_detached(
        self,
        client: AgentClient,
        spec: oci_pb2.Spec,
        storages: Sequence[agent_pb2.Storage],
    ) -> int:
        from kata_host.keeper.spawn import let_go

        assert self._held is not None
        with (
            guest_errors_as_command_errors(),
            # First, so that it is ready when the container is.
            self._keeper(self._held) as keeper,
        ):
            async with self._started(client, spec, storages):
                self._held.write(remove=self._options.rm)
                let_go(keeper, self._name)
                self._is_let_go = True
        print(self._name, flush=True)
        return 0

    async def _run_attached(
        self,
        client: AgentClient,
        spec: oci_pb2.Spec,
        storages: Sequence[agent_pb2.Storage],
    ) -> int:
        from kata_host.ctl.attachment import Detached, attach

        async with self._started(client, spec, storages) as container:
            try:
                async with self._ports.served(self._target.address, self._name):
                    status = await attach(
                        container.init,
                        container.kill,
                        stdin=self._options.interactive,
                        tty=self._options.tty,
                        can_detach=self._held is not None,
                    )
            except Detached:
                await self._hand_over()
                return 0
            if self._held is not None:
                self._held.write(status=status, ended=time.time())
            await container.remove()
            return status

    @contextlib.asynccontextmanager
    async def _started(
        self,
        client: AgentClient,
        spec: oci_pb2.Spec,
        storages: Sequence[agent_pb2.Storage],
    ) -> AsyncIterator[GuestContainer]:
        """Start the container; remove it if the block fails."""
        from kata_host.ctl.arguments import requested_user
        from ttrpc.errors import TtrpcError

        container = await client.create_container(
            self._name,
            spec,
            storages,
            user=requested_user(self._options),
            share_pids=self._shares_pids,
        )
        try:
            await container.start()
            if self._held is not None:
                self._held.write(started=time.time())
            yield container
        except BaseException:
            # The caller needs the first error, not one of the removal.
            with contextlib.suppress(TtrpcError):
                await container.remove()
            raise

    async def _hand_over(self) -> None:
        """Give a container that its user has left to a keeper."""
        from kata_host.keeper.spawn import let_go

        assert self._held is not None
        with guest_errors_as_command_errors(), self._keeper(self._held) as keeper:
            self._held.write(detached=True)
            let_go(keeper, self._name)
            self._is_let_go = True

    def _keeper(
        self, held: HeldRecord
    ) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        from kata_host.keeper.spawn import spawned_keeper

        listeners = [listener.fileno() for listener in self._ports.listeners]
        return spawned_keeper(held, self._target.address, listeners)

    async def _rootfs_in_guest(self, client: AgentClient, rootfs: Path | None) -> str:
        """Return the path of `rootfs` in the guest, after copying it if need be."""
        if rootfs is None:
            assert self._target.own_rootfs is not None
            return self._target.own_rootfs
        if self._sees(str(rootfs)):
            return str(rootfs)
        from kata_host.client.upload import SHARED, upload

        # One path for each source, so that repeated runs do not fill the guest.
        source = self._options.rootfs
        origin = "" if source is None else source.absolute()
        path = f"{SHARED}/rootfs-{zlib.crc32(str(origin).encode()):08x}"
        with saying("copying the root file system into the guest"):
            await upload(client.agent, rootfs, path)
        return path

    async def _init_in_guest(self, client: AgentClient) -> list[Volume]:
        """Return the init of `--init`, after copying it if need be; none without."""
        if not self._options.init:
            return []
        from kata_host.client.upload import SHARED, upload
        from kata_host.client.volume import Volume
        from kata_host.ctl.init_program import INIT, PROGRAM, find_init

        path = find_init()
        source = str(path)
        if not self._sees(source):
            source = f"{SHARED}/{PROGRAM}"
            await upload(client.agent, path, source)
        return [Volume(source, INIT, read_only=True)]

    async def _volumes_in_guest(
        self, stack: contextlib.AsyncExitStack
    ) -> tuple[Sequence[agent_pb2.Storage], list[Volume]]:
        """Return the volumes as the guest has them, and the storages that they need.

        They are in a VM as long as the container's folder, or as one of `stack`.
        """
        if not self._volumes or self._monitor is None:
            return [], self._volumes
        from kata_host.client.volume import shared_volume
        from kata_host.guest.sharing.share_request import SharedPath
        from kata_host.guest.sharing.sharing import Sharing
        from kata_host.scratch import Scratch

        if self._held is not None:
            folder = self._held.folder
        else:
            folder = stack.enter_context(Scratch("volumes"))
        paths = [SharedPath(each.source, each.read_only) for each in self._volumes]
        sharing = Sharing(self._monitor, folder)
        with guest_errors_as_command_errors(), saying("sharing volumes with the VM"):
            shared = await asyncio.to_thread(sharing.start, paths)
        pairs = [
            shared_volume(volume, found.tag, found.file)
            for volume, found in zip(self._volumes, shared, strict=True)
        ]
        return [storage for storage, _ in pairs], [volume for _, volume in pairs]

    @property
    def _rootfs_words(self) -> str:
        default = "busybox" if self._target.own_rootfs is None else "the guest's"
        return rootfs_words(self._options, default)

    @property
    def _shares_pids(self) -> bool:
        options = self._options
        if options.pid is None:
            return not options.init or self._target.entry is not None
        return bool(options.pid == "sandbox")

    @property
    def _is_local(self) -> bool:
        entry = self._target.entry
        return entry is not None and entry.kind == "local"

    def _sees(self, path: str) -> bool:
        """Tell whether the guest has this path of the host."""
        if self._target.scratch is not None:
            # A guest of our own was started with all that it needs.
            return True
        if self._held is not None and path.startswith(f"{self._held.folder}/"):
            return self._is_local
        return self._is_local and not any(
            path == top or path.startswith(f"{top}/") for top in _OF_THE_GUEST
        )

    def _checked_volumes(self) -> list[Volume]:
        volumes = volumes_of(self._options)
        if volumes and self._target.scratch is None and not self._is_local:
            self._monitor = self._found_monitor()
        for volume in volumes:
            if not Path(volume.source).exists():
                raise UsageError(
                    f"--volume: {volume.source}: No such file or directory"
                )
            if self._monitor is None and not self._sees(volume.source):
                raise UsageError(
                    f"--volume: {volume.source}: below a directory that a guest which "
                    "stays has for itself"
                )
        return volumes

    def _found_monitor(self) -> Path:
        from kata_host.guest.sharing.virtiofsd import find_virtiofsd
        from kata_host.guest.vm_disks import monitor_at

        monitor = monitor_at(self._target.address)
        if monitor is None:
            raise UsageError(
                "--volume: only a local guest and a VM of this host see its files; "
                "copy them with cp"
            )
        with guest_errors_as_command_errors():
            find_virtiofsd()
        return monitor

    def _record(self, guest: str) -> ContainerRecord:
        from kata_host.keeper.record import ContainerRecord

        options, limits = self._options, limits_of(self._options)
        return ContainerRecord(
            self._name,
            guest,
            command=options.command,
            rootfs=self._rootfs_words,
            created=time.time(),
            env=[f"{name}={value}" for name, value in options.environment.items()],
            cwd=options.cwd or "/",
            user=options.user,
            tty=options.tty,
            interactive=options.interactive,
            detached=options.detach,
            # A detached one stays from the moment that it is its keeper's.
            remove=True,
            owns_guest=options.detach and options.guest is None,
            volumes=options.volume,
            memory=limits.memory_bytes(),
            cpus=limits.cpus or 0,
            pids=limits.pids or 0,
        )
