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


@pytest.fixture(scope="module", params=["installed", "editable"])
def environment(request: pytest.FixtureRequest) -> Environment:
    """The wheels, and an editable install."""
    environment: Environment = request.getfixturevalue(request.param)
    return environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both programs: a checker looks at all types once for the two."""
    folder = tmp_path_factory.mktemp("types")
    (folder / "program.py").write_text(PROGRAM)
    (folder / "wrong.py").write_text(WRONG)
    # Strict complains of a library's type that is not known in full.
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    return folder


def errors_of(folder: Path, module: str, *options: str | Path) -> dict[str, list[str]]:
    """Return what a checker of the tests' environment says of each program."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", module, *options, "program.py", "wrong.py"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    errors = [line for line in done.stdout.splitlines() if " error: " in line]
    names = ("program.py", "wrong.py")
    found = {name: [it for it in errors if f"{name}:" in it] for name in names}
    assert done.returncode == 1, done.stdout + done.stderr
    assert sum(map(len, found.values())) == len(errors), errors
    return found


def test_mypy_finds_every_type_and_sees_a_wrong_one(
    environment: Environment, folder: Path
) -> None:
    target = ("--python-executable", environment.python)
    errors = errors_of(folder, "mypy", "--strict", "--no-incremental", *target)
    assert errors["program.py"] == []
    assert len(errors["wrong.py"]) == 2, errors


def test_pyright_finds_every_type_and_sees_a_wrong_one(
    environment: Environment, folder: Path
) -> None:
    errors = errors_of(folder, "pyright", "--pythonpath", environment.python)
    # Imports and a parameter that the program does not use.
    assert not [line for line in errors["program.py"] if "reportUnused" not in line]
    wrong = [line for line in errors["wrong.py"] if "Argument of type" in line]
    assert len(wrong) == 2, errors
