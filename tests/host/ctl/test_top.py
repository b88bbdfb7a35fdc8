# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_host.ctl.program import main
from tests.helpers.fake_agent import FakeAgent


async def test_the_table_is_printed_without_control_characters(
    agent: FakeAgent, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.processes = b"PID CMD\n1 \x1b]0;owned\x07\n"
    arguments = ["top", "--guest", address, "c1", "--", "-o", "pid,cmd"]
    assert await asyncio.to_thread(main, arguments) == 0
    assert capsys.readouterr().out == "PID CMD\n1 \\x1b]0;owned\\x07\n"
    (request,) = agent.requests
    assert (request.container_id, request.format) == ("c1", "table")
    assert list(request.args) == ["-o", "pid,cmd"]


async def test_json_is_an_array_of_process_ids(
    agent: FakeAgent, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.processes = b"[1,2]"
    assert (
        await asyncio.to_thread(main, ["top", "--guest", address, "--json", "c"]) == 0
    )
    assert capsys.readouterr().out == "[1,2]\n"
    assert agent.requests[0].format == "json"
