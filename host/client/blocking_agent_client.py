# SPDX-License-Identifier: Apache-2.0
"""The agent client for scripts that do not want asyncio.

    with BlockingAgentClient("hvsock:///run/vm.sock:1024") as client:
        client.create_sandbox("sandbox")
        print(client.run(["uname", "-a"], rootfs="/rootfs").stdout)

It runs the asyncio client in a loop of its own, one call at a time. Every RPC is
there as well: `AgentServiceSyncClient` of `kata_protos.agent_ttrpc`, over a client of
`ttrpc.sync`.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Self, TypeVar

from kata_host.client.agent_client import CONNECT_TIMEOUT, AgentClient, Result

T = TypeVar("T")


class BlockingAgentClient:
    """One connection to an agent, whose calls block. Not for several threads."""

    def __init__(self, address: str, *, timeout: float = CONNECT_TIMEOUT) -> None:
        """Connect, as `AgentClient.connect` does."""
        self._runner = asyncio.Runner()
        try:
            self._client = self._wait(AgentClient.connect(address, timeout=timeout))
        except BaseException:
            self._runner.close()
            raise

    def check(self, timeout: float | None = None) -> None:
        self._wait(self._client.check(timeout))

    def create_sandbox(
        self, sandbox_id: str, *, hostname: str = "", share_pids: bool = True
    ) -> None:
        self._wait(
            self._client.create_sandbox(
                sandbox_id, hostname=hostname, share_pids=share_pids
            )
        )

    def destroy_sandbox(self) -> None:
        self._wait(self._client.destroy_sandbox())

    def run(
        self,
        args: Sequence[str],
        *,
        rootfs: str,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
    ) -> Result:
        """Run a command in a container of its own, which is removed afterwards."""
        return self._wait(
            self._client.run(args, rootfs=rootfs, input=input, env=env, cwd=cwd)
        )

    def close(self) -> None:
        try:
            self._wait(self._client.close())
        finally:
            self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        # In the context of who calls: its current span is in there.
        return self._runner.run(call, context=contextvars.copy_context())
