# SPDX-License-Identifier: Apache-2.0
"""A program that whoever executes it cannot change."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kata_agent.runtime.read_only_program import read_only_program
from tests.helpers.domain import container_request, open_sandbox
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v1")
async def test_a_container_can_neither_write_nor_chmod_the_program_of_its_init(
    world: World,
) -> None:
    async with open_sandbox(runtime="crun") as sandbox:
        await sandbox.create_container(container_request("c1", "true"))
        init = sandbox.container("c1").processes.find("").pid
        # As a process of the container can hold it open beyond the init's execve.
        program = os.open(f"/proc/{init}/exe", os.O_RDONLY)
        assert os.readlink(f"/proc/{init}/exe") == "/crun"
        assert Path(f"/proc/{init}/comm").read_text().startswith("crun")
        await sandbox.remove_container("c1")
    mode = os.fstat(program).st_mode
    with pytest.raises(OSError, match="Read-only file system"):
        os.open(f"/proc/self/fd/{program}", os.O_WRONLY)
    with pytest.raises(OSError, match="Read-only file system"):
        os.fchmod(program, 0)
    assert os.fstat(program).st_mode == mode
    os.close(program)


@in_namespaces("v1")
async def test_a_program_is_found_in_path_and_mounted_once(world: World) -> None:
    path = read_only_program("true")
    assert path.startswith("/proc/self/fd/")
    assert os.spawnv(os.P_WAIT, path, ["true"]) == 0
    assert read_only_program("true") == path


def test_a_script_and_a_missing_program_keep_their_names(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert read_only_program(str(script)) == str(script)
    assert read_only_program("no-such-program") == "no-such-program"
    assert subprocess.run([script], check=False).returncode == 0


@in_namespaces("v1")
async def test_no_mount_is_seen(world: World) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    assert read_only_program("busybox") != "busybox"
    assert Path("/proc/self/mountinfo").read_text() == before
