# SPDX-License-Identifier: Apache-2.0
"""The files of a guest itself, handled from a container of ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from kata_host.client.container_process import ContainerProcess
from kata_host.client.guest_container import GuestContainer
from kata_host.client.identifier import new_id
from kata_host.client.own_root import OwnRoot, find_own_root, own_root_mounts
from kata_host.client.spec import NO_LIMITS, default_process
from kata_host.errors import FileError
from kata_host.explain import explain
from kata_host.sdk.command import REMOVAL_TIMEOUT, removed
from kata_host.sdk.container_request import container_request
from kata_host.sdk.files import Files
from kata_host.sdk.guest_connection import GuestConnection
from kata_host.sdk.process import Process
from kata_host.sdk.recorded import recorded
from kata_host.sdk.roots import OWN
from kata_host.sdk.tools import HOLD, PLACE, Tools
from kata_protos import oci_pb2
from ttrpc.errors import TtrpcError


class OwnFiles:
    """Has the container from the first use of `files` until `close`."""

    def __init__(self, connection: GuestConnection, tools: Tools) -> None:
        self.files = Files(self._start, oci_pb2.User(), self._explained)
        self._connection = connection
        self._tools = tools
        self._lock = asyncio.Lock()
        self._stack = contextlib.AsyncExitStack()
        self._container: GuestContainer | None = None
        self._root: OwnRoot | None = None

    async def close(self) -> None:
        """Remove the container, if there is one."""
        async with self._lock:
            # Of a guest that has ended nothing is left.
            with contextlib.suppress(TtrpcError, TimeoutError):
                async with asyncio.timeout(REMOVAL_TIMEOUT):
                    await self._stack.aclose()

    def _start(self, args: Sequence[str]) -> Process:
        async def start() -> ContainerProcess:
            container, root = await self._ready()
            # The same program, as the guest's own root has it.
            busybox = await self._tools.path()
            process = default_process(
                [PLACE, "chroot", root.path, busybox, *args], env={"B": busybox}
            )
            return await container.exec(new_id("files"), process)

        return Process(self._connection, start)

    def _explained(self, reason: str) -> str:
        return reason if self._root is None else self._root.explained(reason)

    async def _ready(self) -> tuple[GuestContainer, OwnRoot]:
        async with self._lock:
            if self._container is None or self._root is None:
                async with contextlib.AsyncExitStack() as stack:
                    self._container = await self._create(stack)
                    try:
                        self._root = await find_own_root(self._container, PLACE)
                    except OSError as error:
                        raise FileError(explain(error)) from error
                    self._stack = stack.pop_all()
            return self._container, self._root

    async def _create(self, stack: contextlib.AsyncExitStack) -> GuestContainer:
        request = container_request(
            new_id("files"),
            HOLD,
            OWN,
            env=None,
            cwd=None,
            user=None,
            limits=NO_LIMITS,
            mounts=[*own_root_mounts(), await self._tools.mount()],
        )
        await stack.enter_async_context(recorded(self._connection, request))
        container = await self._connection.client.create_container(
            request.id, request.spec, request.storages, share_pids=False
        )
        await stack.enter_async_context(removed(container))
        await container.start()
        return container
