# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl call`, `exec`, `ps` and `run` on an agent that serves already."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.guest.local_guest import LocalGuest
from tests.e2e.conftest import Completed, Ctl

Call = Callable[..., Completed]


@pytest.fixture
def call(ctl: Ctl, guest: LocalGuest) -> Call:
    def call(*arguments: str, **options: str) -> Completed:
        address = ("--guest", guest.address, "--timeout", "30")
        return ctl("call", *address, *arguments, **options)

    return call


@pytest.mark.parametrize(
    "method", ["Check", "check", "grpc.Health/Check", "/grpc.Health/Check"]
)
def test_a_method_is_found_by_each_of_its_spellings(call: Call, method: str) -> None:
    called = call(method)
    assert (called.returncode, called.stderr) == (0, "")
    assert json.loads(called.stdout) == {"status": "SERVING"}


def test_names_with_acronyms_are_found(call: Call) -> None:
    called = call("get-guest-details", '{"mem_block_size": true}')
    assert called.returncode == 0 or "UNIMPLEMENTED" in called.stderr


def test_a_request_is_json_or_a_file_or_the_input(call: Call, tmp_path: Path) -> None:
    request = '{"sandbox_id": "s1", "hostname": "h1"}'
    (tmp_path / "request.json").write_text(request)
    for argument, text in [
        (request, None),
        (f"@{tmp_path}/request.json", None),
        ("-", request),
    ]:
        called = call("CreateSandbox", argument, input=text)
        assert (called.stdout, called.stderr, called.returncode) == ("{}\n", "", 0)


def test_a_failed_call_is_its_code_and_message(call: Call) -> None:
    called = call("StartContainer", '{"container_id": "missing"}')
    assert (called.stdout, called.returncode) == ("", 1)
    (line,) = called.stderr.splitlines()
    code, _, message = line.removeprefix("kata-agent-ctl: ").partition(": ")
    assert code == "INVALID_ARGUMENT"
    assert "missing" in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("NoSuchMethod",), "no method 'NoSuchMethod'"),
        (("Check", "{"), "Check"),
        (("StartContainer", '{"no_such_field": 1}'), "no_such_field"),
        (("StartContainer", '{"container_id": 1}'), "container_id"),
    ],
)
def test_an_invalid_call_is_one_line(
    ctl: Ctl, arguments: tuple[str, ...], words: str
) -> None:
    called = ctl("call", "--guest", "unix:///missing", *arguments)
    assert (called.stdout, called.returncode) == ("", 2)
    (line,) = called.stderr.splitlines()
    assert line.startswith("kata-agent-ctl: call: ")
    assert words in line


def test_an_address_that_is_not_served_is_one_line(ctl: Ctl) -> None:
    arguments = ("--guest", "unix:///no/such/socket", "--connect-timeout", "0.1")
    called = ctl("call", *arguments, "Check")
    assert called.returncode == 1
    (line,) = called.stderr.splitlines()
    assert "unix:///no/such/socket" in line


async def test_exec_joins_a_container_that_runs(
    ctl: Ctl, guest: LocalGuest, client: AgentClient
) -> None:
    storage, root = writable_layer("c1", str(guest.directory / "rootfs"))
    spec = default_spec("c1", default_process(["sleep", "1000"]), rootfs=root)
    async with client.started_container("c1", spec, [storage]):
        executed = await asyncio.to_thread(
            ctl,
            *("exec", "-i", "--env", "A=b", "--guest", guest.address, "c1"),
            *("--", "sh", "-c", "cat; echo $A; echo err >&2; exit 6"),
            input="in\n",
        )
        assert (executed.stdout, executed.stderr) == ("in\nb\n", "err\n")
        assert executed.returncode == 6
        missing = await asyncio.to_thread(
            ctl, *("exec", "--guest", guest.address, "c2", "--", "true")
        )
    assert missing.returncode == 125
    assert "c2" in missing.stderr


async def test_run_uses_a_guest_that_runs(
    ctl: Ctl, guest: LocalGuest, client: AgentClient
) -> None:
    ran = await asyncio.to_thread(
        ctl, "run", "--guest", guest.address, "--", "sh", "-c", "echo there; exit 8"
    )
    assert ran.stderr == ""
    assert (ran.stdout, ran.returncode) == ("there\n", 8)


async def test_ps_shows_the_processes_of_a_container(
    ctl: Ctl, guest: LocalGuest, client: AgentClient
) -> None:
    storage, root = writable_layer("c1", str(guest.directory / "rootfs"))
    spec = default_spec("c1", default_process(["sleep", "1000"]), rootfs=root)
    arguments = ("top", "--guest", guest.address, "c1")
    async with client.started_container("c1", spec, [storage]):
        table = await asyncio.to_thread(ctl, *arguments, "--", "-o", "pid,args")
        pids = await asyncio.to_thread(ctl, *arguments, "--json")
    assert (table.returncode, table.stderr) == (0, "")
    header, *lines = table.stdout.splitlines()
    assert header.split() == ["PID", "COMMAND"]
    (line,) = lines
    assert line.split()[1:] == ["sleep", "1000"]
    assert json.loads(pids.stdout) == [int(line.split()[0])]
    gone = await asyncio.to_thread(ctl, *arguments)
    assert gone.returncode == 1
    assert "c1" in gone.stderr
