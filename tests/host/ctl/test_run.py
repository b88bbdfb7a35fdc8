# SPDX-License-Identifier: Apache-2.0
"""Which container is requested; tests/e2e/test_run.py has real guests."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from kata_host.ctl.program import main
from tests.helpers.fake_agent import FakeAgent
from tests.helpers.host_program import require_program


async def run(*arguments: str) -> tuple[int | None, str]:
    """Return the exit status and the standard error of `run`."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kata_host.ctl", "run", *arguments),
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await program.communicate()
    return program.returncode, error.decode()


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "rootfs" / "bin").mkdir(parents=True)
    return tmp_path / "rootfs"


@pytest.fixture
def tini() -> Path:
    """The program of `--init`, on a host that has it."""
    return require_program("tini-static", "tini")


async def test_a_guest_that_runs_gets_the_files_and_one_container(
    agent: FakeAgent, address: str, rootfs: Path
) -> None:
    arguments = ("--guest", address, "--rootfs", str(rootfs), "--", "ls", "-l")
    assert await run(*arguments) == (7, "")
    assert agent.names() == [
        "CopyFile",
        "CopyFile",
        "CreateContainer",
        "StartContainer",
        "CloseStdin",
        "WaitProcess",
        "RemoveContainer",
    ]
    copied = agent.requests[0].path
    created = await agent.received("CreateContainer")
    assert list(created.OCI.Process.Args) == ["ls", "-l"]
    assert f"lowerdir={copied}" in created.storages[0].options
    assert created.sandbox_pidns


async def test_the_same_directory_is_copied_to_the_same_path(
    agent: FakeAgent, address: str, rootfs: Path
) -> None:
    for _ in range(2):
        await run("--guest", address, "--rootfs", str(rootfs), "--", "ls")
    copied = [r.path for r in agent.requests if hasattr(r, "file_mode")]
    assert copied[:2] == copied[2:]


async def test_a_container_may_have_pids_of_its_own(
    agent: FakeAgent, address: str, rootfs: Path
) -> None:
    arguments = ("--guest", address, "--rootfs", str(rootfs), "--pid", "container")
    await run(*arguments, "--", "ls")
    assert not (await agent.received("CreateContainer")).sandbox_pidns


async def test_the_init_is_copied_and_is_before_the_command(
    agent: FakeAgent, address: str, rootfs: Path, tini: Path
) -> None:
    arguments = ("--guest", address, "--rootfs", str(rootfs), "--init")
    assert (await run(*arguments, "--", "ls", "-l"))[0] == 7
    created = await agent.received("CreateContainer")
    assert list(created.OCI.Process.Args) == ["/dev/init", "-s", "--", "ls", "-l"]
    # It would not be PID 1 among the processes of the sandbox.
    assert not created.sandbox_pidns
    mount = created.OCI.Mounts[-1]
    assert (mount.destination, "ro" in mount.options) == ("/dev/init", True)
    copied = {r.path: r for r in agent.requests if hasattr(r, "file_mode")}
    assert copied[mount.source].file_size == tini.stat().st_size
    assert copied[mount.source].file_mode & 0o777 == 0o755


async def test_the_init_may_be_among_the_processes_of_the_sandbox(
    agent: FakeAgent, address: str, rootfs: Path, tini: Path
) -> None:
    arguments = ("--guest", address, "--rootfs", str(rootfs), "--init")
    await run(*arguments, "--pid", "sandbox", "--", "ls")
    assert (await agent.received("CreateContainer")).sandbox_pidns


async def test_a_container_that_does_not_start_is_removed(
    agent: FakeAgent, address: str, rootfs: Path
) -> None:
    agent.refused = {"StartContainer"}
    status, error = await run("--guest", address, "--rootfs", str(rootfs), "--", "ls")
    assert status == 125
    assert error == "kata-agent-ctl: INTERNAL: StartContainer refused\n"
    assert agent.names()[-1] == "RemoveContainer"


def test_a_guest_that_runs_has_its_network_already(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["run", "--network", "user", "--guest", "unix:///x", "--", "true"]
    assert main(words) == 125
    assert "--network: the network is the guest's" in capsys.readouterr().err


def test_a_guest_of_others_cannot_be_traced(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--trace", "--guest", "unix:///x", "--", "true"]) == 125
    assert "--trace: needs a guest of its own" in capsys.readouterr().err
