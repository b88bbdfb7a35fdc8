# SPDX-License-Identifier: Apache-2.0
"""The program that holds a box and handles its files: a busybox without libraries.

An image may have no `sleep`, no `tar` and no shell. So each box sees a busybox of its
guest's, or of this host's, at a path of its own.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Final

from kata_host.client.agent_client import AgentClient
from kata_host.client.identifier import new_id
from kata_host.client.upload import SHARED, upload_content
from kata_host.errors import NotFound
from kata_host.needed_programs import missing
from kata_protos import oci_pb2

PLACE: Final = "/dev/busybox"
"""Its path in a box, which no image has anything at."""
HOLD: Final = (
    # A shell that waits reaps the orphans of its pid namespace, too.
    *(PLACE, "sh", "-c", f"while :; do {PLACE} sleep 2147483647 & wait; done"),
)
"""The command of a first process that does nothing until it is killed."""
_INTERPRETER: Final = b"/ld-"
_HEADERS: Final = 4096
"""Bytes at the start of a program that hold the name of its loader, if it has one."""


class Tools:
    """The busybox of one guest."""

    def __init__(self, client: AgentClient, path: str | None) -> None:
        """`path` is that of the guest's own; None for a guest that may have none."""
        self._client = client
        self._path = path
        self._lock = asyncio.Lock()

    async def path(self) -> str:
        """Return where the guest has it. Raises as `mount` does."""
        async with self._lock:
            if self._path is None:
                # A busybox is one by the beginning of its name.
                path = f"{SHARED}/{new_id('busybox')}"
                content = await asyncio.to_thread(_read)
                await upload_content(self._client.agent, content, path, mode=0o755)
                self._path = path
            return self._path

    async def mount(self) -> oci_pb2.Mount:
        """Return the mount that shows it in a container.

        Raises `NotFound`, and the errors of the client.
        """
        return oci_pb2.Mount(
            destination=PLACE,
            source=await self.path(),
            type="bind",
            options=["bind", "ro", "nosuid", "nodev"],
        )


def host_busybox() -> str:
    """Return the path of this host's busybox. Raises `NotFound`."""
    if fault := missing("busybox"):
        raise NotFound(fault)
    path = Path(shutil.which("busybox") or "").resolve()
    with open(path, "rb") as program:
        if _INTERPRETER in program.read(_HEADERS):
            raise NotFound(f"{path}: needs libraries (package busybox-static)")
    return str(path)


def _read() -> bytes:
    return Path(host_busybox()).read_bytes()
