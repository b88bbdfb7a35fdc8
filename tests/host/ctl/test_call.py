# SPDX-License-Identifier: Apache-2.0
"""The command line of `call`; tests/e2e/test_call.py has a real agent."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from kata_host.ctl.program import main, make_parser
from tests.helpers.fake_agent import FakeAgent


async def call(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["call", *arguments])


@pytest.mark.parametrize("method", ["CreateSandbox", "create-sandbox", "createsandbox"])
async def test_the_request_is_json(
    agent: FakeAgent, address: str, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    request = '{"sandbox_id": "s1", "storages": [{"driver": "9p"}]}'
    assert await call("--guest", address, method, request) == 0
    assert json.loads(capsys.readouterr().out) == {}
    (received,) = agent.requests
    assert received.sandbox_id == "s1"
    assert received.storages[0].driver == "9p"


async def test_the_response_is_json(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await call("--guest", address, "version") == 0
    assert json.loads(capsys.readouterr().out) == {"agent_version": "1.2.3"}


async def test_the_request_may_be_in_a_file(
    agent: FakeAgent, address: str, tmp_path: Path
) -> None:
    (tmp_path / "request").write_text('{"sandbox_id": "from a file"}')
    assert await call("--guest", address, "CreateSandbox", f"@{tmp_path}/request") == 0
    assert agent.requests[0].sandbox_id == "from a file"


async def test_a_failed_call_is_its_code_and_message(
    agent: FakeAgent, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.refused = {"CreateSandbox"}
    assert await call("--guest", address, "CreateSandbox") == 1
    said = capsys.readouterr().err
    assert said == "kata-agent-ctl: INTERNAL: CreateSandbox refused\n"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["NoSuchMethod"], 2),
        (["Check", "{"], 2),
        (["StartContainer", '{"no_such_field": 1}'], 2),
        (["Check", "@/no/such/file"], 1),
    ],
)
def test_a_call_that_cannot_be_made_names_the_reason(
    arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["call", "--guest", "unix:///nobody", *arguments]) == status
    said = capsys.readouterr().err
    assert said.startswith("kata-agent-ctl: call: ")
    assert len(said.splitlines()) == 1


def test_a_guest_is_needed_but_for_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "Check"]) == 2
    assert capsys.readouterr().err == "kata-agent-ctl: call: --guest is needed\n"
    assert main(["call", "list"]) == 0
    assert "grpc.AgentService/CreateContainer\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--guest", "g", "check", "{}"],
        ["check", "--guest", "g", "{}"],
        ["check", "{}", "--guest", "g"],
    ],
)
def test_options_are_before_or_after_the_method(words: list[str]) -> None:
    options = make_parser(["call"]).parse_args(["call", *words])
    assert (options.guest, options.method, options.request) == ("g", "check", "{}")
    alone = make_parser(["call"]).parse_args(["call", "check", "--guest", "g"])
    assert (alone.guest, alone.request) == ("g", "{}")
