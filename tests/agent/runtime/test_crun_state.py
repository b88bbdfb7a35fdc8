# SPDX-License-Identifier: Apache-2.0
"""What the agent does in place of `crun start` and `crun delete`, beside both."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kata_agent.errors import Internal
from kata_agent.runtime import registry
from kata_agent.runtime.crun_runtime import CrunRuntime
from kata_agent.runtime.crun_state import release_init, remove_state
from kata_agent.runtime.runtime import Runtime
from kata_agent.system_paths import SystemPaths
from tests.helpers.domain import container_request, open_sandbox, run, started
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.oci_runtimes import crun_of_image

STATE = SystemPaths().runtime


class ByCommand(CrunRuntime):
    """Has crun do all."""

    start = Runtime.start
    forget = Runtime.forget


def tree(directory: Path) -> dict[str, str]:
    """Return the mode and the size of each entry, by its path."""
    return {
        str(path.relative_to(directory)): f"{stat.filemode(status.st_mode)} "
        f"{status.st_uid} {status.st_size if path.is_file() else ''}"
        for path in sorted(directory.rglob("*"))
        for status in [path.lstat()]
    }


def cgroups() -> set[str]:
    return {
        directory
        for directory, _, _ in os.walk("/sys/fs/cgroup", followlinks=False)
        if "/c1" in directory
    }


class ByAgent(CrunRuntime):
    """Takes the script that runs the image's crun for crun itself."""

    def is_itself(self) -> bool:
        return True


async def life(program: str) -> list[object]:
    """Return what a container's life has shown, and left on disk at each step."""
    shown: list[object] = []

    def look() -> None:
        shown.append(tree(STATE))
        shown.append(sorted(cgroups()))

    async with open_sandbox(runtime=program) as sandbox:
        request = container_request("c1", "sh", "-c", "echo $0 $PPID; exit 7")
        await sandbox.create_container(request)
        look()
        await sandbox.start_container("c1")
        look()
        processes = sandbox.container("c1").processes
        shown.append(await processes.read("", stderr=False, limit=100))
        shown.append(await processes.wait(""))
        look()
        await sandbox.remove_container("c1")
        look()
        # The id is free.
        shown.append(await run(sandbox, "c1", "echo", "again"))
        # Not started, and killed by its removal.
        await sandbox.create_container(container_request("c2", "true"))
        await sandbox.remove_container("c2")
        await started(sandbox, "c3", "sleep", "1000")
        await sandbox.remove_container("c3")
        look()
    look()
    return shown


@pytest.fixture(params=["crun", pytest.param("13", marks=[pytest.mark.vm])])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """crun of this machine, and of the guest's image."""
    return "crun" if request.param == "crun" else str(crun_of_image(tmp_path) / "crun")


@in_namespaces("v1", "v2")
async def test_both_ways_of_a_life_are_equal_on_disk_and_in_what_is_seen(
    world: World, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "RUNTIMES", {"crun": ByAgent})
    ours = await life(program)
    monkeypatch.setattr(registry, "RUNTIMES", {"crun": ByCommand})
    assert ours == await life(program)


@in_namespaces("v1", "v2")
async def test_a_life_runs_crun_once(world: World) -> None:
    calls: list[str] = []
    command = Runtime._call

    async def counted(self: Runtime, arguments: list[str], *rest: object) -> str:
        calls.append(arguments[0])
        return await command(self, arguments, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runtime, "_call", counted)
        async with open_sandbox() as sandbox:
            await run(sandbox, "c1", "true")
            await sandbox.remove_container("c1")
    assert calls == ["create"]


@in_namespaces("v1")
async def test_a_script_around_crun_is_run_for_each_verb(world: World) -> None:
    script = Path("/run/crun")
    script.write_text('#!/bin/sh\necho "$@" >> /run/calls\nexec crun "$@"\n')
    script.chmod(0o755)
    async with open_sandbox(runtime=str(script)) as sandbox:
        await run(sandbox, "c1", "true")
        await sandbox.remove_container("c1")
    verbs = ("create", "start", "delete")
    words = Path("/run/calls").read_text().split()
    assert [word for word in words if word in verbs] == list(verbs)


@in_namespaces("v1", "v2")
async def test_poststop_hooks_are_run_by_crun(world: World) -> None:
    mark = Path("/run/stopped")
    async with open_sandbox() as sandbox:
        request = container_request("c1", "true")
        hook = request.OCI.Hooks.Poststop.add(Path="/bin/sh")
        hook.Args.extend(["sh", "-c", f"cat > {mark}"])
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        await sandbox.remove_container("c1")
    assert '"c1"' in mark.read_text()


@in_namespaces("v1", "v2")
async def test_a_state_directory_with_more_in_it_is_left_to_crun(world: World) -> None:
    async with open_sandbox() as sandbox:
        await run(sandbox, "c1", "true")
        (STATE / "c1" / "of-a-later-release").write_text("")
        await sandbox.remove_container("c1")
        assert not (STATE / "c1").exists()


@in_namespaces("v1", "v2")
async def test_crun_says_why_a_container_cannot_be_started(world: World) -> None:
    async with open_sandbox() as sandbox:
        await sandbox.create_container(container_request("c1", "true"))
        (STATE / "c1" / "exec.fifo").unlink()
        with pytest.raises(
            Internal, match="^container 'c1': start failed: .*exec.fifo"
        ):
            await sandbox.start_container("c1")


def test_no_init_waits_behind_a_missing_or_an_unread_pipe(tmp_path: Path) -> None:
    assert not release_init(tmp_path)
    os.mkfifo(tmp_path / "exec.fifo")
    assert not release_init(tmp_path)
    assert (tmp_path / "exec.fifo").exists()


def test_an_init_is_released_by_one_byte(tmp_path: Path) -> None:
    fifo = tmp_path / "exec.fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert release_init(tmp_path)
        assert len(os.read(reader, 10)) == 1
        assert not fifo.exists()
    finally:
        os.close(reader)


def test_nothing_is_removed_of_an_unknown_directory(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("{}")
    (tmp_path / "other").write_text("")
    assert not remove_state(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["other", "status"]
    assert remove_state(tmp_path / "absent")
