# SPDX-License-Identifier: Apache-2.0
"""What a child sees that has entered the tree of a volume."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kata_host.guest.local_syscall import (
    CLONE_NEWNS,
    MS_REC,
    MS_SLAVE,
    mount,
    prctl,
    unshare,
)
from kata_host.guest.sharing.private_tree import FILE, enter_private_tree
from tests.helpers.child import in_child

pytestmark = pytest.mark.root

PR_SET_DUMPABLE = 4


def fault_of_writing(path: Path) -> str:
    try:
        path.write_text("changed")
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def test_a_directory_is_writable_and_read_only_with_all_below(tmp_path: Path) -> None:
    source = tmp_path / "a,b"
    (source / "below").mkdir(parents=True)

    def body() -> None:
        unshare(CLONE_NEWNS)
        mount("", "/", flags=MS_REC | MS_SLAVE)
        mount("tmpfs", str(source / "below"), "tmpfs")
        before = os.stat("/tmp").st_dev
        tree = enter_private_tree(str(source), read_only=True)
        assert os.listdir(tree) == ["below"]
        assert fault_of_writing(tree / "file") == "EROFS"
        assert fault_of_writing(tree / "below/file") == "EROFS"
        # Where the volume is writable, nothing else of the host's is seen in its place.
        assert os.stat("/tmp").st_dev != before

    def writing() -> None:
        tree = enter_private_tree(str(source), read_only=False)
        assert fault_of_writing(tree / "file") == ""

    in_child(body)
    in_child(writing)
    assert (source / "file").read_text() == "changed"


@pytest.mark.parametrize(("read_only", "fault"), [(True, "EROFS"), (False, "")])
def test_a_file_is_alone_in_a_directory_that_nobody_changes(
    tmp_path: Path, read_only: bool, fault: str
) -> None:
    source = tmp_path / "a:b"
    source.write_text("text")

    def body() -> None:
        tree = enter_private_tree(str(source), read_only=read_only)
        assert os.listdir(tree) == [FILE]
        assert (tree / FILE).read_text() == "text"
        assert fault_of_writing(tree / "other") == "EROFS"
        assert fault_of_writing(tree / FILE) == fault

    in_child(body)
    assert source.read_text() == ("text" if read_only else "changed")


def test_a_user_who_is_not_root_has_a_namespace_for_it(tmp_path: Path) -> None:
    source = tmp_path / "mine"
    source.mkdir()
    os.chown(source, 65534, 65534)

    def body() -> None:
        # The folders of pytest are root's alone.
        os.chdir(source)
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        # As a program has it that this user has started.
        prctl(PR_SET_DUMPABLE, 1)
        tree = enter_private_tree(".", read_only=False)
        assert os.getuid() == 0
        assert fault_of_writing(tree / "file") == ""

    in_child(body)
    assert (source / "file").stat().st_uid == 65534


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    def body() -> None:
        with pytest.raises(FileNotFoundError, match="none"):
            enter_private_tree(str(tmp_path / "none"), read_only=False)

    in_child(body)
