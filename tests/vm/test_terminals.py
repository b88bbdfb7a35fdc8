# SPDX-License-Identifier: Apache-2.0
"""Terminals with the guest's kernel, which is older than the one of most hosts."""

from __future__ import annotations

import pytest

from kata_host.client import AgentClient
from kata_host.client.spec import default_process
from tests.helpers.guest_container import request, started

pytestmark = [pytest.mark.vm, pytest.mark.slow]


async def test_terminals_lose_nothing_and_end(client: AgentClient) -> None:
    async with started(client, request("sleep 1000")) as container:

        async def output_of(script: str, given: bytes = b"") -> bytes:
            script = f"stty -echo -onlcr; {script}"
            process = default_process(["sh", "-c", script], terminal=True)
            result = await (await container.exec("e1", process)).communicate(given)
            assert result.status == 0
            return result.stdout

        reopened = "exec <&- >&- 2>&-; sleep 0.2; exec >/dev/tty; echo second"
        assert await output_of(f"echo first; {reopened}") == b"first\nsecond\n"
        much = "exec <&- >&- 2>&-; head -c 300000 /dev/zero >/dev/tty"
        assert await output_of(much) == bytes(300_000)
        # The input is echoed if it comes before the command that turns the echo off.
        assert (await output_of("cat; cat", b"abc")).endswith(b"abc")

        process = default_process(
            ["sh", "-c", "stty -onlcr; sleep 1000 & head -c 10000 /dev/zero"],
            terminal=True,
        )
        executed = await container.exec("e2", process)
        assert await executed.wait() == 0
        tail = b"".join([piece async for piece in executed.read_stdout()])
        assert tail == bytes(10_000)
