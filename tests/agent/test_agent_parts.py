# SPDX-License-Identifier: Apache-2.0
"""Parts of the agent that are made by the first call, seen from a client."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_protos import agent_pb2, health_pb2
from ttrpc import Code, StatusError

PROGRAM = """
import sys
from kata_agent.__main__ import main
from kata_agent.late_module import LateModule
status = main()
loaded = [name for name, it in sys.modules.items() if it and type(it) is not LateModule]
with open({file!r}, "w") as file:
    print(status, *loaded, file=file)
"""
BY_NEED = {
    *("kata_agent.container", "kata_agent.device", "kata_agent.metrics"),
    *("kata_agent.network", "kata_agent.oci", "kata_agent.rpc.services"),
    *("kata_agent.runtime", "kata_agent.sandbox", "kata_agent.storage"),
    *("kata_protos.agent_pb2", "kata_protos.oci_pb2", "kata_agent.reserve"),
}
"""What the first call of grpc.AgentService loads, or a later one."""
AT_START = {
    *("kata_agent.container", "kata_agent.container.stream_dialer"),
    *("kata_agent.container.stream_listener", "kata_agent.container.stream_source"),
    *("kata_agent.device", "kata_agent.device.driver_names"),
    *("kata_agent.storage", "kata_agent.storage.driver_names"),
}
"""Packages, their lists of names, and the listener of stream ports."""
LATER = {
    *("kata_agent.device.handlers", "kata_agent.metrics.page"),
    *("kata_agent.network.network", "kata_agent.storage.handlers"),
}
"""What only calls for devices, metrics, networks and storages load."""
HARDLY_EVER = {
    *("_hashlib", "calendar", "hashlib", "ipaddress"),
    *("locale", "pickle", "ssl", "textwrap", "tokenize", "ttrpc.counters"),
}
"""Modules of which a guest needs nothing before a failure, or a rare call."""


class Program:
    """`kata-agent`, as its command starts it, with a list of modules at its end."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.socket = directory / "agent.sock"
        self._file = directory / "modules"
        self._arguments = arguments

    async def __aenter__(self) -> Program:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", PROGRAM.format(file=str(self._file))),
            *("--listen", f"unix://{self.socket}", *self._arguments),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        # The line that says that the agent listens.
        while b'"announce"' not in (line := await self._process.stdout.readline()):
            assert line
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        await self._process.communicate()

    async def modules(self) -> set[str]:
        """End the agent; return the modules that it has loaded."""
        await self.__aexit__()
        status, *names = self._file.read_text().split()
        assert status == "0"
        return set(names)

    def client(self) -> AbstractAsyncContextManager[AgentClient]:
        return AgentClient.connect(f"unix://{self.socket}")


def of(names: set[str], tops: set[str]) -> set[str]:
    return {it for it in names if any(f"{it}.".startswith(f"{top}.") for top in tops)}


async def test_a_check_needs_nothing_of_the_agents_service(tmp_path: Path) -> None:
    async with Program(tmp_path) as agent:
        async with agent.client() as client:
            await client.health.check(health_pb2.CheckRequest())
        loaded = await agent.modules()
    assert "kata_agent.rpc.health" in loaded
    assert of(loaded, BY_NEED) - AT_START == set()
    assert loaded & HARDLY_EVER == set()


async def test_the_first_call_makes_the_parts_and_no_driver(tmp_path: Path) -> None:
    async with Program(tmp_path) as agent:
        async with agent.client() as client:
            details = await client.agent.get_guest_details(
                agent_pb2.GuestDetailsRequest()
            )
            assert details.agent_details.version
        loaded = await agent.modules()
    assert "kata_agent.sandbox.sandbox" in loaded
    assert loaded & LATER == set()
    assert loaded & HARDLY_EVER == set()


async def test_an_unknown_runtime_fails_calls_and_no_start(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text('runtime = "youki"')
    async with Program(tmp_path, "--config", str(config)) as agent:
        async with agent.client() as client:
            for _ in range(2):
                with pytest.raises(StatusError, match="'youki': not one of") as raised:
                    await client.agent.get_guest_details(
                        agent_pb2.GuestDetailsRequest()
                    )
                assert raised.value.code is Code.INVALID_ARGUMENT
            await client.health.check(health_pb2.CheckRequest())
