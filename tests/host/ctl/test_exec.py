# SPDX-License-Identifier: Apache-2.0
"""Which exec is requested; tests/e2e/test_call.py has a real container."""

from __future__ import annotations

import asyncio
import sys

from kata_host.ctl.program import main
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord
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
    assert list(request.process.Env)[1:] == ["A=b"]
    # The rest is the container's.
    assert not request.process.HasField("User")
    assert not request.process.HasField("Capabilities")
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


async def test_what_is_not_said_is_the_containers(
    agent: FakeAgent, guest_one: str
) -> None:
    record = ContainerRecord("web", "one", env=["A=1", "B=2"], started=1.0)
    held = HeldRecord.create(record)
    for options in ((), ("-e", "B=3", "-u", "nobody")):
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kata_host.ctl", "exec", *options),
            *("we", "--", "env"),
        )
        request = await agent.received("ExecProcess")
        assert await program.wait() == 7
        assert request.process.Cwd == ""
        if options:
            assert list(request.process.Env)[1:] == ["A=1", "B=3"]
            assert request.string_user.uid == "nobody"
        else:
            assert list(request.process.Env) == []
            assert request.string_user.uid == ""
    held.close()


def test_a_container_and_a_command_are_needed() -> None:
    assert main(["exec", "no-such-container", "--", "true"]) == 125
    assert main(["exec", "c1"]) == 125
