# SPDX-License-Identifier: Apache-2.0
"""The agent client for scripts that do not use asyncio.

    with BlockingAgentClient("hvsock:///run/vm.sock:1024") as client:
        client.create_sandbox("sandbox")
        print(client.run(["uname", "-a"], rootfs="/rootfs").stdout)

It runs the asyncio client in an event loop of its own, one call at a time. For every
RPC there is `AgentServiceSyncClient` of `kata_protos.agent_ttrpc`, over a client of
`ttrpc.sync`.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from kata_host.client.agent_client import CONNECT_TIMEOUT, AgentClient

T = TypeVar("T")
P = ParamSpec("P")


def _blocking(
    method: Callable[Concatenate[AgentClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[BlockingAgentClient, P], T]:
    """Return a method that calls `method` of the asyncio client and waits for it."""

    def call(self: BlockingAgentClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._wait(method(self._client, *args, **kwargs))

    functools.update_wrapper(call, method)
    return call


class BlockingAgentClient:
    """One connection to an agent, for one thread; every call blocks."""

    def __init__(self, address: str, *, timeout: float = CONNECT_TIMEOUT) -> None:
        """Connect, as `AgentClient.connect` does."""
        self._runner = asyncio.Runner()
        try:
            self._client = self._wait(_connect(address, timeout))
        except BaseException:
            self._runner.close()
            raise

    check = _blocking(AgentClient.check)
    version = _blocking(AgentClient.version)
    create_sandbox = _blocking(AgentClient.create_sandbox)
    destroy_sandbox = _blocking(AgentClient.destroy_sandbox)
    run = _blocking(AgentClient.run)

    def close(self) -> None:
        """Close the connection."""
        try:
            self._wait(self._client.close())
        finally:
            self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _wait(self, call: Coroutine[Any, Any, T]) -> T:
        # The caller's context holds its current span, the parent of the call's.
        return self._runner.run(call, context=contextvars.copy_context())


async def _connect(address: str, timeout: float) -> AgentClient:
    return await AgentClient.connect(address, timeout=timeout)
