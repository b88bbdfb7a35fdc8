# SPDX-License-Identifier: Apache-2.0
"""Fixtures that run kata-agent-ctl as its users do: as a program.

No process, mount, cgroup or file of a guest may be left after a test.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kata_host.client import AgentClient
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.local_cgroup import hierarchies
from kata_host.guest.local_guest import LocalGuest
from tests.helpers import command_line
from tests.helpers.captured_world import World, create_sandbox
from tests.helpers.command_line import CTL, Completed
from tests.helpers.namespace import require_root
from tests.helpers.oci_runtimes import RUNTIMES, local_guest_with

PATIENCE = 60.0

Ctl = Callable[..., Completed]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.root)


def traces_of(scratch: Path) -> list[str]:
    """Return everything on this machine that belongs to guests below `scratch`."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found = [line for line in mounts if str(scratch) in line]
    found += map(str, scratch.iterdir())
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if str(scratch).encode() in command + environment:
            found.append(f"{process}: {command!r}")
    return found


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Make a directory for the guests of a test, with a short path for sockets."""
    require_root()
    directory = Path(f"/tmp/e2e-{os.urandom(4).hex()}")
    directory.mkdir()
    yield directory
    left = traces_of(directory)
    assert not left
    directory.rmdir()


@pytest.fixture
def environment(
    scratch: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Have a registry of the test's own: the names in this user's are other runs'."""
    registry = tmp_path_factory.mktemp("run")
    return {**os.environ, "TMPDIR": str(scratch), "XDG_RUNTIME_DIR": str(registry)}


@contextlib.contextmanager
def environment_of_guests(scratch: Path) -> Iterator[dict[str, str]]:
    """Have guests that stay in the directory of the test too; stop them at the end."""
    run = scratch / "run"
    run.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch), "XDG_RUNTIME_DIR": str(run)}
    yield environment
    subprocess.run([*CTL, "guest", "stop", "--all"], env=environment, check=True)
    (run / "kata-agent").rmdir()
    run.rmdir()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def ctl(environment: dict[str, str]) -> Ctl:
    """Return a function that runs kata-agent-ctl to its end."""
    return partial(command_line.run, environment)


@pytest.fixture
def started(environment: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """Return a function that starts kata-agent-ctl, to be killed at the end."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        # The tests themselves may have been started by nohup, or in the background.
        command = ["env", "--default-signal", *CTL, *arguments]
        process = subprocess.Popen(command, env=environment, **options)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def guest(scratch: Path) -> Iterator[LocalGuest]:
    environment = {"KATA_AGENT_LOG_LEVEL": "debug"}
    with LocalGuest(scratch / "guest", environment=environment) as guest:
        make_busybox(guest.directory / "rootfs")
        yield guest


@pytest.fixture
async def client(guest: LocalGuest) -> Any:
    async with AgentClient.connect(guest.address) as client:
        await client.create_sandbox("e2e")
        yield client
        try:
            async with asyncio.timeout(PATIENCE / 2):
                await client.destroy_sandbox()
        except TimeoutError:
            tail = "\n".join(guest.console_tail(50))
            pytest.fail(f"sandbox not destroyed; last lines of the console:\n{tail}")


@pytest.fixture(scope="module", params=RUNTIMES)
def oci_runtime(request: pytest.FixtureRequest) -> str:
    """One of the OCI runtimes."""
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=["v1", "v2"])
def world(
    request: pytest.FixtureRequest,
    oci_runtime: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """A guest for the captured requests; one for all tests of a file."""
    require_root()
    version: str = request.param
    try:
        hierarchies(version)
    except ValueError as error:
        pytest.skip(str(error))
    scratch = Path(f"/tmp/e2e-{os.urandom(4).hex()}")
    scratch.mkdir()
    programs = tmp_path_factory.mktemp("programs")
    with local_guest_with(
        oci_runtime, scratch / "guest", programs, cgroup=version
    ) as guest:
        world = World(guest, version, oci_runtime)
        make_busybox(world.rootfs)
        yield world
    assert not traces_of(scratch)
    shutil.rmtree(scratch)


@pytest.fixture
async def agent(world: World) -> AsyncIterator[AgentClient]:
    """A client of `world`, whose sandbox is as the Go shim creates it."""
    async with AgentClient.connect(world.guest.address) as client:
        await create_sandbox(client)
        yield client


@pytest.fixture(scope="module")
def one() -> Iterator[dict[str, str]]:
    """Start the guest `one` for all tests of a file; yield the environment."""
    require_root()
    scratch = Path(f"/tmp/e2e-{os.urandom(4).hex()}")
    (scratch / "run").mkdir(parents=True)
    environment = {
        **os.environ,
        "TMPDIR": str(scratch),
        "XDG_RUNTIME_DIR": str(scratch / "run"),
    }
    started = subprocess.run(
        [*CTL, "guest", "start", "--name", "one"], env=environment, capture_output=True
    )
    assert started.returncode == 0, started.stderr
    yield environment
    stopped = subprocess.run([*CTL, "guest", "stop", "--all"], env=environment)
    assert stopped.returncode == 0
    assert traces_of(scratch) == [str(scratch / "run")]
    shutil.rmtree(scratch)


@pytest.fixture
def ctl_of_one(one: dict[str, str]) -> Iterator[Ctl]:
    """Return a function that runs kata-agent-ctl; no container stays in `one`."""
    run = partial(command_line.run, one)
    yield run
    if names := run("ps", "-aq").stdout.split():
        run("rm", "-f", *names)
    assert run("ps", "-aq").stdout == ""


def printed(ran: Completed) -> str:
    """Return the output of a command that has succeeded without a word."""
    assert (ran.stderr, ran.returncode) == ("", 0)
    return ran.stdout
