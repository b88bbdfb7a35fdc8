# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import sys

import pytest

from kata_host.ctl.program import main
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.output_log import OutputLog
from kata_host.keeper.record import ContainerRecord
from tests.helpers.fake_agent import FakeAgent


async def test_what_comes_is_shown_and_the_status_returned(
    agent: FakeAgent, guest_one: str
) -> None:
    record = ContainerRecord("web", "one", started=1.0, detached=True)
    held = HeldRecord.create(record)
    log = OutputLog(held.folder)
    log.write(1, b"before\n")
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kata_host.ctl", "attach", "web"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    reading = asyncio.ensure_future(program.stdout.readline())
    while not reading.done():
        # Until the program looks, which nothing tells us.
        log.write(1, b"now\n")
        log.write(2, b"wrong\n")
        await asyncio.wait([reading], timeout=0.05)
    assert reading.result() == b"now\n"
    held.write(status=9, ended=2.0)
    output, error = await program.communicate()
    assert b"before" not in output
    assert error.startswith(b"wrong\n")
    assert program.returncode == 9
    assert agent.names() == []
    log.close()
    held.close()


def test_only_a_detached_container_that_runs_is_attached(
    guest_one: str, capsys: pytest.CaptureFixture[str]
) -> None:
    HeldRecord.create(ContainerRecord("mine", "one", started=1.0))
    HeldRecord.create(ContainerRecord("old", "one", ended=1.0, detached=True)).close()
    for name, reason in (
        ("mine", "its output belongs to the command that runs it"),
        ("old", "has ended (see logs)"),
    ):
        assert main(["attach", name]) == 1
        assert f"container '{name}': {reason}" in capsys.readouterr().err
