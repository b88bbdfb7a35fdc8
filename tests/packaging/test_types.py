# SPDX-License-Identifier: Apache-2.0
"""Type checkers know every type of an installed package, however it is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import Environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROGRAM = """
from __future__ import annotations

import asyncio
from typing import assert_type

import kata_agent
import kata_host
import ttrpc
from kata_host import Guest, Limits, Result
from kata_host.client import AgentClient
from kata_host import sync
from kata_host.guest.guest import OwnGuest
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2
from kata_tracing.span import Span, span
from ttrpc.aio.client import Client
from ttrpc.frame import Frame, MessageType
from ttrpc.metadata import Metadata
from ttrpc.sync.client import Client as BlockingClient


def blocking() -> None:
    with sync.Guest.local() as guest, guest.container(user=5) as box:
        assert_type(guest.run(["true"], timeout="5s"), Result)
        assert_type(box.files.read("/x"), bytes)
        with box.start(["cat"], tty=(24, 80)) as process:
            assert_type(process.wait(), int)
    with sync.Pool(2, sync.Guest.vm) as pool:
        assert_type(pool.run(["true"]), Result)


def frame() -> bytes:
    return assert_type(Frame(1, MessageType.REQUEST, 0, b"").serialize(), bytes)


async def main(client: AgentClient, guest: OwnGuest) -> str:
    request = agent_pb2.CreateSandboxRequest(hostname="one")
    assert_type(request.hostname, str)
    assert_type(guest.address, str)
    assert_type(LocalGuest().ending(), str | None)
    with span("container.create", subsystem="agent") as current:
        assert_type(current, Span)
    async with Guest.vm(memory="1g") as sandbox:
        ran = await sandbox.run(["true"], limits=Limits(cpus=1), files={"a": b""})
        assert_type(ran, Result)
    return kata_agent.__version__ + kata_host.__version__ + ttrpc.__version__
"""
WRONG = """
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2

LocalGuest(directory=1)
agent_pb2.CreateSandboxRequest(hostname=1)
"""


@pytest.fixture(params=["installed", "editable"])
def environment(request: pytest.FixtureRequest) -> Environment:
    """The wheels, and an editable install."""
    environment: Environment = request.getfixturevalue(request.param)
    return environment


def run(folder: Path, module: str, *arguments: str | Path) -> tuple[int, str]:
    """Run a type checker of the tests' environment in `folder`."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def mypy(environment: Environment, folder: Path, program: str) -> tuple[int, str]:
    (folder / "program.py").write_text(program)
    target = ("--python-executable", environment.python)
    return run(folder, "mypy", "--strict", "--no-incremental", *target, "program.py")


def pyright(environment: Environment, folder: Path, program: str) -> tuple[int, str]:
    (folder / "program.py").write_text(program)
    # Strict complains of a library's type that is not known in full.
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    return run(folder, "pyright", "--pythonpath", environment.python, "program.py")


def test_mypy_finds_every_type(environment: Environment, tmp_path: Path) -> None:
    status, output = mypy(environment, tmp_path, PROGRAM)
    assert status == 0, output


def test_mypy_sees_a_wrong_type(environment: Environment, tmp_path: Path) -> None:
    _, output = mypy(environment, tmp_path, WRONG)
    assert "Found 2 errors" in output, output


def test_pyright_finds_every_type(environment: Environment, tmp_path: Path) -> None:
    _, output = pyright(environment, tmp_path, PROGRAM)
    errors = [line for line in output.splitlines() if " error: " in line]
    # Imports and a parameter that the program does not use.
    assert not [line for line in errors if "reportUnused" not in line], output


def test_pyright_sees_a_wrong_type(environment: Environment, tmp_path: Path) -> None:
    _, output = pyright(environment, tmp_path, WRONG)
    assert output.count("reportArgumentType") == 2, output
