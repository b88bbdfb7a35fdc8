# SPDX-License-Identifier: Apache-2.0
"""The examples for containerd, against Debian's containerd and runc.

Each test runs as PID 1 of its own namespaces, with a `/run` of its own: whatever a
daemon leaves behind ends with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.interop import require_go
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.source_tree import ROOT

pytestmark = [pytest.mark.interop, pytest.mark.slow]

EXAMPLES: Final = ROOT / "examples/containerd"
PATIENCE: Final = 30
"""Seconds for what takes two of them on a machine with nothing else to do."""
CONFIG: Final = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = [
  "io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.overlayfs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
]
[grpc]
  address = "{folder}/containerd.sock"
[ttrpc]
  address = "{folder}/containerd.sock.ttrpc"
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with containerd's API, made as the examples' README says."""
    require_go()
    if shutil.which("containerd") is None:
        if os.environ.get("CI"):
            pytest.fail("needs containerd")
        pytest.skip("needs containerd: make debian-test")
    folder = tmp_path_factory.mktemp("api")
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    async def make() -> int:
        process = await asyncio.create_subprocess_exec(
            EXAMPLES / "protos.sh", folder, env={**os.environ, "PATH": programs}
        )
        return await process.wait()

    assert asyncio.run(make()) == 0
    return folder


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root file system with a shell."""
    root = tmp_path / "rootfs"
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/sh")
    return root


def environment(api: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{api}:{EXAMPLES}"}


async def run(*command: str | Path, api: Path) -> tuple[int | None, list[str]]:
    """Run a program; return its status and the lines that it prints."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, env=environment(api)
    )
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate()
    return process.returncode, output.decode().splitlines()


@dataclass(frozen=True, slots=True)
class Containerd:
    """A containerd that runs, with everything in one folder."""

    folder: Path

    def ctr(self, *arguments: str | Path) -> list[str | Path]:
        socket = f"--address={self.folder}/containerd.sock"
        return ["ctr", socket, "--namespace=demo", *arguments]


@contextlib.asynccontextmanager
async def containerd(folder: Path, api: Path) -> AsyncIterator[Containerd]:
    """Run containerd while the block runs; its PATH has the shim in Python."""
    shim = folder / "bin/containerd-shim-python-v1"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} {EXAMPLES}/shim.py "$@"\n')
    shim.chmod(0o755)
    (folder / "config.toml").write_text(CONFIG.format(folder=folder))
    variables = environment(api)
    variables["PATH"] = f"{shim.parent}:{variables['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("containerd", "--config", folder / "config.toml"),
        stderr=PIPE,
        env=variables,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await line_with(process, b"successfully booted")
        assert process.stderr is not None
        drain = asyncio.create_task(process.stderr.read())
        yield Containerd(folder)
    finally:
        process.terminate()
        await process.wait()
    print((await drain).decode())


async def line_with(process: Process, text: bytes) -> None:
    assert process.stderr is not None
    while text not in (line := await process.stderr.readline()):
        assert line, "containerd has ended"


@in_namespaces()
async def test_a_shim_of_containerds_is_driven(
    world: World, api: Path, rootfs: Path
) -> None:
    command = ("/bin/sh", "-c", "echo hello; exit 7")
    program = EXAMPLES / "drive_shim.py"
    status, lines = await run(sys.executable, program, rootfs, *command, api=api)
    assert status == 7
    # The shim's events and the output of its container come on their own ways.
    assert "output: hello" in lines
    assert [line for line in lines if line.startswith("event: ")] == [
        f"event: /tasks/{topic}" for topic in ("create", "start", "exit", "delete")
    ]


@in_namespaces("v1")
async def test_an_event_is_published(world: World, api: Path, tmp_path: Path) -> None:
    async with containerd(tmp_path, api) as daemon:
        events = await asyncio.create_subprocess_exec(
            *daemon.ctr("events"), stdout=PIPE
        )
        assert events.stdout is not None
        address = f"unix://{tmp_path}/containerd.sock.ttrpc"
        line = asyncio.create_task(events.stdout.readline())
        # Nothing says when `ctr events` listens, so events are sent until it has one.
        async with asyncio.timeout(PATIENCE):
            while not line.done():
                assert await run(
                    *(sys.executable, EXAMPLES / "publish_event.py", address, "one"),
                    api=api,
                ) == (0, [])
        assert line.result().split(b" ", 4)[4] == (
            b'demo /tasks/oom {"container_id":"one"}\n'
        )
        events.terminate()
        await events.wait()


@in_namespaces()
async def test_ctr_runs_a_container_with_a_shim_in_python(
    world: World, api: Path, rootfs: Path, tmp_path: Path
) -> None:
    controllers = Path("/sys/fs/cgroup/cgroup.controllers")
    if world.version == "v2" and "cpu" not in controllers.read_text().split():
        pytest.skip("cgroup v2 without the controllers that ctr sets")
    async with containerd(tmp_path, api) as daemon:
        ctr = daemon.ctr(
            *("run", "--rm", "--runtime=io.containerd.python.v1", "--rootfs"),
            *(rootfs, "one", "/bin/sh", "-c", "echo hello; exit 7"),
        )
        assert await run(*ctr, api=api) == (7, ["hello"])
        assert (await run(*daemon.ctr("containers", "list", "-q"), api=api)) == (0, [])
