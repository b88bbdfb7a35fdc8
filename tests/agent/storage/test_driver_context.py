# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import Internal, InvalidArgument
from kata_agent.linux.mount_options import parse_options
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.undo import Undo
from kata_protos.agent_pb2 import FSGroup, Storage
from tests.helpers.drivers import open_context
from tests.helpers.namespace import World, in_namespaces

POINT = Path("/run/kata-containers/volume")


def mounted() -> str | None:
    """Return the type of the file system on the mount point."""
    mounts = read_mounts(Path("/proc/self/mountinfo"))
    return next((m.fstype for m in mounts if m.point == str(POINT)), None)


@in_namespaces("v2")
async def test_a_mount_stays_until_the_cleanup(world: World) -> None:
    storage = Storage(fstype="tmpfs", mount_point=str(POINT), options=["size=64k"])
    async with open_context() as context:
        await context.mount(storage, "none")
        assert mounted() == "tmpfs"
    assert mounted() is None
    assert not POINT.exists()


@in_namespaces("v2")
async def test_given_options_replace_the_storage_s(world: World) -> None:
    storage = Storage(fstype="tmpfs", mount_point=str(POINT), options=["bogus=1"])
    async with open_context() as context:
        await context.mount(storage, "none", parse_options(["size=64k"]))
        assert mounted() == "tmpfs"


@in_namespaces("v2")
async def test_the_type_bind_binds(world: World) -> None:
    source = Path("/run/source")
    (source / "inner").mkdir(parents=True)
    storage = Storage(fstype="bind", mount_point=str(POINT))
    async with open_context() as context:
        await context.mount(storage, str(source))
        assert (POINT / "inner").is_dir()


@pytest.mark.parametrize("option", ["bind", "rbind", "bind,ro"])
@in_namespaces("v2")
async def test_the_option_bind_does_not_make_a_file_system_a_bind(
    world: World, option: str
) -> None:
    """CSI plugins give the disk of a volume this option (kata-containers#11296)."""
    storage = Storage(fstype="tmpfs", mount_point=str(POINT), options=[option])
    async with open_context() as context:
        await context.mount(storage, "none")
        assert mounted() == "tmpfs"


@in_namespaces("v2")
async def test_a_given_type_replaces_the_storage_s(world: World) -> None:
    storage = Storage(fstype="fuse3.kata-overlay", mount_point=str(POINT))
    async with open_context() as context:
        await context.mount(storage, "none", fstype="tmpfs")
        assert mounted() == "tmpfs"


@in_namespaces("v2")
async def test_the_files_get_the_group_of_the_storage(world: World) -> None:
    storage = Storage(
        fstype="tmpfs", mount_point=str(POINT), fs_group=FSGroup(group_id=4242)
    )
    async with open_context() as context:
        await context.mount(storage, "none")
        assert POINT.stat().st_gid == 4242


async def test_a_mount_point_elsewhere_is_refused() -> None:
    async with open_context() as context:
        with pytest.raises(InvalidArgument, match="'/etc': not below"):
            context.mount_point_of(Storage(mount_point="/etc"))


async def test_work_of_a_thread_stays_until_the_cleanup(tmp_path: Path) -> None:
    file = tmp_path / "made"

    def make(undo: Undo) -> None:
        file.touch()
        undo.callback(file.unlink)

    async with open_context() as context:
        await context.keep(make)
        assert file.exists()
    assert not file.exists()


async def test_work_that_fails_half_way_is_undone_in_the_cleanup(
    tmp_path: Path,
) -> None:
    file = tmp_path / "made"

    def make(undo: Undo) -> None:
        file.touch()
        undo.callback(file.unlink)
        raise Internal("no")

    async with open_context() as context:
        with pytest.raises(Internal, match="no"):
            await context.keep(make)
        assert file.exists()
    assert not file.exists()


async def test_a_program_that_fails_is_named_with_its_output() -> None:
    async with open_context() as context:
        await context.run("true")
        with pytest.raises(Internal, match="^sh: exit status 3: broken$"):
            await context.run("sh", "-c", "echo out; echo broken >&2; exit 3")
        with pytest.raises(Internal, match="^sh: exit status 4: out$"):
            await context.run("sh", "-c", "echo out; exit 4")
