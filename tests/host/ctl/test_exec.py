# SPDX-License-Identifier: Apache-2.0
"""Which exec is requested; tests/e2e/test_call.py has a real container."""

from __future__ import annotations

import asyncio
import sys

from kata_host.ctl.program import main
from tests.helpers.fake_agent import FakeAgent


async def test_the_process_is_that_of_the_command_line(
    agent: FakeAgent, address: str
) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kata_host.ctl", "exec", "--guest", address),
        *("-e", "A=b", "--cwd", "/tmp", "c1", "--", "ls", "-l"),
    )
    request = await agent.received("ExecProcess")
    assert request.container_id == "c1"
    assert request.exec_id.startswith("exec-")
    assert list(request.process.Args) == ["ls", "-l"]
    assert "A=b" in request.process.Env
    assert (request.process.Cwd, request.process.Terminal) == ("/tmp", False)
    assert await program.wait() == 7
    assert (await agent.received("WaitProcess")).exec_id == request.exec_id


async def test_a_refused_exec_has_the_status_of_docker(
    agent: FakeAgent, address: str
) -> None:
    agent.refused = {"ExecProcess"}
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kata_host.ctl", "exec", "--guest", address),
        *("c1", "true"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await program.communicate()
    assert program.returncode == 125
    assert error == b"kata-agent-ctl: INTERNAL: ExecProcess refused\n"


def test_a_guest_and_a_container_are_needed() -> None:
    assert main(["exec", "c1", "--", "true"]) == 125
    assert main(["exec", "--guest", "one"]) == 125
