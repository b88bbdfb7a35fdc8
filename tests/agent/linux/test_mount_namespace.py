# SPDX-License-Identifier: Apache-2.0
"""A mount of one namespace is copied into another."""

from __future__ import annotations

import os
from pathlib import Path

from kata_agent.linux.beneath import opened
from kata_agent.linux.mount import MS_PRIVATE, MS_REC, mount
from kata_agent.linux.mount_namespace import copy_mount
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.linux.namespace import CLONE_NEWNS, in_new_thread, setns, unshare
from tests.helpers.namespace import World, in_namespaces

NAMESPACE = "/proc/thread-self/ns/mnt"


def new_namespace() -> int:
    """Return a descriptor of a mount namespace that shares nothing with ours."""

    def make() -> int:
        unshare(CLONE_NEWNS)
        mount("", "/", "", MS_REC | MS_PRIVATE)
        return os.open(NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)

    return in_new_thread(make)


@in_namespaces("v2")
async def test_a_mount_and_those_below_it_appear_in_the_other(
    world: World, tmp_path: Path
) -> None:
    with opened(os.open(NAMESPACE, os.O_RDONLY)) as here:
        with opened(new_namespace()) as there:
            source = tmp_path / "source"
            source.mkdir()
            mount("tmpfs", source, "tmpfs")
            (source / "inner").mkdir()
            mount("tmpfs", source / "inner", "tmpfs")
            (source / "inner/file").write_text("content")
            copy_mount(here, str(source), there, str(tmp_path / "a/target"))

            def look() -> str:
                unshare(0x200)  # CLONE_FS
                setns(there, CLONE_NEWNS)
                return (tmp_path / "a/target/inner/file").read_text()

            assert in_new_thread(look) == "content"
    assert not (tmp_path / "a/target/inner").exists()


@in_namespaces("v2")
async def test_a_single_file_is_copied_onto_a_new_file(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("content")
    with opened(os.open(NAMESPACE, os.O_RDONLY)) as here:
        copy_mount(here, str(tmp_path / "file"), here, str(tmp_path / "new/file"))
    assert (tmp_path / "new/file").read_text() == "content"
    points = [each.point for each in read_mounts(Path("/proc/self/mountinfo"))]
    assert str(tmp_path / "new/file") in points
