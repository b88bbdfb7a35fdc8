# SPDX-License-Identifier: Apache-2.0
"""The local guest that gets the requests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import Message

from bench.stage import agent_pid
from fuzz.left import Left
from kata_host.client import AgentClient
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AGENT_SERVICE
from ttrpc.codes import Code
from ttrpc.errors import StatusError

NAME: Final = "c1"
SANDBOX: Final = "/run/kata-containers"
CALL_TIMEOUT: Final = 20.0
CHECK_TIMEOUT: Final = 2.0
TEXT_LIMIT: Final = 4096
"""Characters of the text of an error."""
LONG: Final = frozenset({"WaitProcess", "ReadStdout", "ReadStderr", "WriteStdin"})
"""Calls that may wait for the container: they get `LONG_TIMEOUT`."""
LONG_TIMEOUT: Final = 0.2


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and the method that it is for."""

    method: str
    request: Message


class Target:
    """A local guest with a sandbox, and what it held before the first scenario."""

    def __init__(self, guest: LocalGuest, client: AgentClient, rootfs: Path) -> None:
        self.client = client
        self.rootfs = rootfs
        self.calls = 0
        self.codes: dict[Code | int, int] = {}
        self._pid = agent_pid(guest)
        self._root = Path(f"/proc/{self._pid}/root{SANDBOX}")

    async def play(self, create: Call, calls: Sequence[Call], before: Left) -> None:
        """Play a scenario. Raises `AssertionError`."""
        await self.send(create)
        for call in calls:
            await self.send(call)
        async with asyncio.timeout(CHECK_TIMEOUT):
            await self.client.check()
        created: Any = create.request
        for container_id in {NAME, created.container_id}:
            await self.send(
                Call(
                    "RemoveContainer",
                    agent_pb2.RemoveContainerRequest(container_id=container_id),
                )
            )
        await self.reset(_own_cgroup(created.OCI.Linux.CgroupsPath or NAME))
        left: dict[str, object] = {}
        for _ in range(100):
            left = Left.of(self._pid).without(before)
            if not left:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"left or lost: {left}")

    async def reset(self, own_cgroup: str = "/") -> Left:
        """Make the sandbox anew, without files that were copied.

        The cgroups around those of containers stay for the next container, and are
        removed here. A path that ends in `own_cgroup` was a container's own, and stays.
        """
        await self.client.create_sandbox("fuzz", share_pids=False)
        for directory in ("shared", "sandbox", "watchable"):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._root / directory)
        self._remove_pods(own_cgroup)
        return Left.of(self._pid)

    def _remove_pods(self, own_cgroup: str) -> None:
        # The hierarchies themselves stay: rmdir(2) would detach the guest's mounts,
        # since they are not mounted in the namespace of this process.
        for group in Path(f"/proc/{self._pid}/root/sys/fs/cgroup").glob("*/*/"):
            for path, _, _ in os.walk(group, topdown=False):
                if not path.endswith(own_cgroup):
                    with contextlib.suppress(OSError):
                        os.rmdir(path)

    async def send(self, call: Call) -> None:
        """Make a call and check its answer. Raises `AssertionError`."""
        self.calls += 1
        method = AGENT_SERVICE.methods[call.method]
        is_long = call.method in LONG
        timeout = LONG_TIMEOUT if is_long else CALL_TIMEOUT
        code: Code | int = Code.OK
        text = ""
        try:
            await self.client.call(method, call.request, timeout=timeout)
        except StatusError as error:
            code, text = error.code, error.message
        says = f"{call.method}: {code}: {text}"
        assert code is not Code.UNKNOWN, says
        assert not text.startswith("unexpected "), says
        assert is_long or not text.endswith("deadline exceeded"), says
        assert text.isprintable(), says
        assert len(text) <= TEXT_LIMIT, says
        self.codes[code] = self.codes.get(code, 0) + 1


def _own_cgroup(cgroups_path: str) -> str:
    """Return the end of the path of a container's own cgroup, of either form."""
    return "/" + "/".join(part for part in re.split("[/:]", cgroups_path) if part)
