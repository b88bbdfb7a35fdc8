# SPDX-License-Identifier: Apache-2.0
"""What the host of a recorded session had prepared, made again for a replay.

A runtime shares the root file systems and the volumes of its containers with the guest,
or has them as disks; neither is in a recording. So a replay

- copies a root file system to each path where a container has its root below the shared
  directory, also where the session itself copied one whose content is redacted:
  busybox, or the directory that `KATA_REPLAY_ROOTFS` names;
- copies an empty file or directory to each source of a mount that the session itself
  did not copy, with the files below it that programs of the session name;
- leaves virtio-fs storages out, since the shared directory is the guest's own;
- reads the output of every process to its end, in place of the recorded reads, whose
  number and sizes depend on time;
- removes the containers that are left when the session begins another sandbox, because
  each sandbox had a guest of its own.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeGuard

from google.protobuf.message import Message

from kata_host.client.upload import SHARED, upload
from kata_host.ctl.rootfs import make_busybox
from kata_host.recording.redaction import FILLER
from kata_host.scratch import Scratch
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceClient
from ttrpc.aio import Client
from ttrpc.errors import TtrpcError
from ttrpc.recording.companion import Companion
from ttrpc.service import Method

ROOTFS_VARIABLE: Final = "KATA_REPLAY_ROOTFS"
READ_SIZE: Final = 32 << 10
"""Bytes in one answer to a read."""
FILES: Final = (
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/dev/termination-log",
)
"""Destinations in a container where kubelet and the runtimes mount a file."""

BINDING: Final = ("bind", "watchable-bind")
"""Drivers of storages whose source is a path of the guest."""


class Surroundings(Companion):
    """The surroundings of one replay against an agent."""

    def __init__(self, client: Client, requests: Sequence[Message]) -> None:
        super().__init__(client, requests)
        self._agent = AgentServiceClient(client)
        self._brought: set[str] = set()
        self._containers: list[str] = []
        """The containers that have been created and not removed."""
        self._terminals: set[tuple[str, str]] = set()
        self._readers: set[asyncio.Task[None]] = set()
        self._redacted = {
            request.path for request in requests if _is_redacted_file(request)
        }
        for request in requests:
            self._brought |= set(_own_paths(request))
        self._words = [word for request in requests for word in _words(request)]

    async def prepare(
        self, method: Method[Any, Any], request: Message
    ) -> Message | None:
        if isinstance(request, agent_pb2.ReadStreamRequest):
            return None
        if isinstance(request, agent_pb2.CreateSandboxRequest):
            await self._remove_containers()
            return _without_share(request)
        if isinstance(request, agent_pb2.CreateContainerRequest):
            await self._bring(request)
        return request

    def succeeded(self, method: Method[Any, Any], request: Message) -> None:
        if isinstance(request, agent_pb2.CreateContainerRequest):
            self._containers.append(request.container_id)
            if request.OCI.Process.Terminal:
                self._terminals.add((request.container_id, ""))
        elif isinstance(request, agent_pb2.RemoveContainerRequest):
            self._containers.remove(request.container_id)
        elif isinstance(request, agent_pb2.StartContainerRequest):
            self._read(request.container_id, "")
        elif isinstance(request, agent_pb2.ExecProcessRequest):
            if request.process.Terminal:
                self._terminals.add((request.container_id, request.exec_id))
            self._read(request.container_id, request.exec_id)

    async def close(self) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    # Output.

    def _read(self, container_id: str, exec_id: str) -> None:
        calls = [self._agent.read_stdout]
        if (container_id, exec_id) not in self._terminals:
            calls.append(self._agent.read_stderr)
        for call in calls:
            request = agent_pb2.ReadStreamRequest(
                container_id=container_id, exec_id=exec_id, len=READ_SIZE
            )
            reader = asyncio.create_task(_read_to_end(call, request))
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)

    # Containers that a session left behind.

    async def _remove_containers(self) -> None:
        for container_id in reversed(self._containers):
            await self._agent.remove_container(
                agent_pb2.RemoveContainerRequest(container_id=container_id)
            )
        self._containers.clear()

    # Files.

    async def _bring(self, request: agent_pb2.CreateContainerRequest) -> None:
        for root in _roots(request):
            if _is_shared(root) and not self._is_whole(root):
                self._brought.add(root)
                self._redacted = {
                    path for path in self._redacted if not path.startswith(f"{root}/")
                }
                await self._bring_rootfs(root)
        destinations = {
            mount.source: mount.destination
            for mount in request.OCI.Mounts
            if "bind" in mount.options or "rbind" in mount.options
        }
        # A storage that binds or watches a directory has the files at its own source.
        sources = {
            storage.source: destinations.get(storage.mount_point, "")
            for storage in request.storages
            if storage.driver in BINDING
        }
        for source, destination in (destinations | sources).items():
            if _is_shared(source) and not self._is_brought(source):
                await self._bring_source(source, destination)

    def _is_whole(self, root: str) -> bool:
        """Tell whether a root is there with the content of its files."""
        below = f"{root}/"
        is_redacted = any(path.startswith(below) for path in self._redacted)
        return root in self._brought and not is_redacted

    def _is_brought(self, path: str) -> bool:
        return any(
            path == known or path.startswith(f"{known}/") for known in self._brought
        )

    async def _bring_rootfs(self, target: str) -> None:
        given = os.environ.get(ROOTFS_VARIABLE)
        with Scratch("replay") as directory:
            source = Path(given) if given else make_busybox(directory / "rootfs")
            try:
                await upload(self._agent, source, target)
            except* TtrpcError as group:
                raise _first(group) from None

    async def _bring_source(self, source: str, destination: str) -> None:
        self._brought.add(source)
        if destination in FILES:
            await self._copy(source, stat.S_IFREG | 0o644)
            return
        await self._copy(source, stat.S_IFDIR | 0o755)
        for name in self._names_below(destination):
            await self._copy(f"{source}/{name}", stat.S_IFREG | 0o644)

    def _names_below(self, destination: str) -> set[str]:
        """Return the names below a directory that programs of the session use."""
        return {
            word.removeprefix(f"{destination}/")
            for word in self._words
            if word.startswith(f"{destination}/") and ".." not in word
        }

    async def _copy(self, path: str, mode: int) -> None:
        await self._agent.copy_file(
            agent_pb2.CopyFileRequest(path=path, file_mode=mode, dir_mode=0o755)
        )


async def _read_to_end(call: Any, request: agent_pb2.ReadStreamRequest) -> None:
    # A process that is removed, or an agent that ends, is an end too.
    try:
        while (await call(request)).data:
            pass
    except TtrpcError:
        return


def _is_shared(path: str) -> bool:
    return os.path.normpath(path).startswith(f"{SHARED}/")


def _roots(request: agent_pb2.CreateContainerRequest) -> Iterator[str]:
    """Yield the directories that hold a container's programs."""
    yield request.OCI.Root.Path
    for storage in request.storages:
        for option in storage.options:
            name, _, value = option.partition("=")
            if name == "lowerdir":
                yield from value.split(":")


def _is_redacted_file(request: Message) -> TypeGuard[agent_pb2.CopyFileRequest]:
    return (
        isinstance(request, agent_pb2.CopyFileRequest)
        and stat.S_ISREG(request.file_mode)
        and bool(request.data)
        and not request.data.strip(FILLER)
    )


def _without_share(
    request: agent_pb2.CreateSandboxRequest,
) -> agent_pb2.CreateSandboxRequest:
    changed = agent_pb2.CreateSandboxRequest()
    changed.CopyFrom(request)
    del changed.storages[:]
    changed.storages.extend(
        storage for storage in request.storages if storage.driver != "virtio-fs"
    )
    return changed


def _own_paths(request: Message) -> Iterator[str]:
    """Yield the paths that a call makes in the shared directory."""
    if isinstance(request, agent_pb2.CopyFileRequest):
        yield request.path
    elif isinstance(request, agent_pb2.CreateContainerRequest):
        for storage in request.storages:
            yield storage.mount_point


def _words(request: Message) -> Iterator[str]:
    """Yield the words of the command lines that a call starts."""
    arguments: Sequence[str] = ()
    if isinstance(request, agent_pb2.CreateContainerRequest):
        arguments = request.OCI.Process.Args
    elif isinstance(request, agent_pb2.ExecProcessRequest):
        arguments = request.process.Args
    for argument in arguments:
        yield from re.split(r"[\s;|&<>()'\"]+", argument)


def _first(group: BaseExceptionGroup[TtrpcError]) -> TtrpcError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
