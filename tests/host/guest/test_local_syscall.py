# SPDX-License-Identifier: Apache-2.0
"""The calls, made by a child that has namespaces to spoil."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_host.guest.local_syscall import (
    CLONE_NEWNS,
    CLONE_NEWUTS,
    MS_NODEV,
    MS_REC,
    MS_SLAVE,
    clone_tree,
    detach,
    mount,
    mount_tree,
    prctl,
    unshare,
)
from tests.helpers.child import in_child

pytestmark = pytest.mark.root


def mounts_at(path: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if line.split()[4] == str(path)]


def test_a_mount_is_seen_in_the_new_namespace_only(tmp_path: Path) -> None:
    def body() -> None:
        unshare(CLONE_NEWNS)
        mount("", "/", "", MS_REC | MS_SLAVE)
        mount("tmpfs", str(tmp_path), "tmpfs", MS_NODEV, "size=1m")
        (line,) = mounts_at(tmp_path)
        assert "nodev" in line
        assert "size=1024k" in line

    in_child(body)
    assert not mounts_at(tmp_path)


def test_every_mount_at_a_path_is_detached_even_if_busy(tmp_path: Path) -> None:
    def body() -> None:
        unshare(CLONE_NEWNS)
        mount("", "/", "", MS_REC | MS_SLAVE)
        for _ in range(2):
            mount("tmpfs", str(tmp_path), "tmpfs")
        (tmp_path / "below").mkdir()
        mount("tmpfs", str(tmp_path / "below"), "tmpfs")
        os.chdir(tmp_path)
        detach(str(tmp_path))
        assert not mounts_at(tmp_path)
        assert not mounts_at(tmp_path / "below")
        # Again, nothing is mounted there, which is no error.
        detach(str(tmp_path))

    in_child(body)


def test_a_copy_of_a_tree_stays_when_the_tree_is_detached(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"

    def body() -> None:
        unshare(CLONE_NEWNS)
        mount("", "/", "", MS_REC | MS_SLAVE)
        mount("tmpfs", str(old), "tmpfs")
        (old / "kept" / "below").mkdir(parents=True)
        mount("tmpfs", str(old / "kept" / "below"), "tmpfs")
        (old / "kept" / "below" / "file").write_text("here")
        tree = clone_tree(str(old / "kept"))
        detach(str(old))
        mount_tree(tree, str(new))
        assert (new / "below" / "file").read_text() == "here"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(tree)

    old.mkdir()
    new.mkdir()
    in_child(body)


def test_a_new_uts_namespace_has_a_name_of_its_own() -> None:
    before = os.uname().nodename

    def body() -> None:
        unshare(CLONE_NEWUTS)
        import socket

        socket.sethostname("elsewhere")
        assert os.uname().nodename == "elsewhere"

    in_child(body)
    assert os.uname().nodename == before


def test_errors_name_their_path(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    with pytest.raises(FileNotFoundError) as raised:
        mount("none", missing, "tmpfs")
    assert raised.value.filename == missing
    with pytest.raises(FileNotFoundError):
        detach(missing)
    with pytest.raises(FileNotFoundError) as raised:
        clone_tree(missing)
    assert raised.value.filename == missing


def test_an_unknown_option_is_an_error_of_prctl() -> None:
    with pytest.raises(OSError, match="prctl"):
        prctl(0x7FFFFFFF, 0)
