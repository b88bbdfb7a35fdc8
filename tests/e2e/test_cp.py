# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl cp`: its copies are in the guest, and a container can see them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from kata_host.client import AgentClient
from kata_host.guest.local_guest import LocalGuest
from tests.e2e.conftest import Ctl


async def test_a_directory_is_copied(
    ctl: Ctl, guest: LocalGuest, client: AgentClient, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_bytes(bytes(range(256)) * 5000)
    (tree / "link").symlink_to("sub/file")
    copied = ctl("cp", "--guest", guest.address, str(tree), "mine")
    assert (copied.stderr, copied.returncode) == ("", 0)
    assert copied.stdout == "/run/kata-containers/shared/containers/mine\n"
    again = ctl("cp", "--guest", guest.address, str(tree / "link"), "/mine/again")
    assert again.returncode == 0
    # The rootfs of a container is a directory of the guest, so it shows the copy.
    make = ctl("cp", "--guest", guest.address, str(guest.directory / "rootfs"), "r")
    assert make.returncode == 0
    root = make.stdout.strip()
    copied = ctl("cp", "--guest", guest.address, str(tree), "r/mine")
    assert copied.returncode == 0
    result = await client.run(
        ["sh", "-c", "md5sum < /mine/link; readlink /mine/link"], rootfs=root
    )
    md5, link = result.stdout.decode().splitlines()
    assert link == "sub/file"
    content = (tree / "sub" / "file").read_bytes()
    assert md5.split()[0] == hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_a_missing_source_is_one_line(
    ctl: Ctl, guest: LocalGuest, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    failed = ctl("cp", "--guest", guest.address, str(missing))
    assert (failed.stdout, failed.returncode) == ("", 1)
    (line,) = failed.stderr.splitlines()
    assert line.startswith("kata-agent-ctl: ")
    assert str(missing) in line


def test_a_name_outside_is_refused_by_the_agent(
    ctl: Ctl, guest: LocalGuest, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    file = str(tmp_path / "file")
    failed = ctl("cp", "--guest", guest.address, file, "../../../../etc/x")
    assert failed.returncode == 1
    (line,) = failed.stderr.splitlines()
    assert "INVALID_ARGUMENT" in line or "PERMISSION_DENIED" in line


def test_files_that_cannot_be_copied_are_named(
    ctl: Ctl, guest: LocalGuest, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    os.mkfifo(tree / "fi\nfo")
    (tree / "file").touch()
    ran = ctl("cp", "--guest", guest.address, str(tree))
    assert ran.returncode == 0
    (line,) = ran.stderr.splitlines()
    assert line == f"kata-agent-ctl: left out, as it is no file: {tree}/fi\\nfo"
    os.mkfifo(tmp_path / "alone")
    ran = ctl("cp", "--guest", guest.address, str(tmp_path / "alone"))
    assert (ran.stdout, ran.returncode) == ("", 1)
    assert f"{tmp_path}/alone: not a file" in ran.stderr


def test_a_name_that_is_not_utf_8_is_named(
    ctl: Ctl, guest: LocalGuest, tmp_path: Path
) -> None:
    bad = tmp_path / "tree" / os.fsdecode(b"bad\xff")
    bad.parent.mkdir()
    bad.touch()
    for source, words in ((bad.parent, "tree/bad\\xff"), (bad, "bad\\xff")):
        ran = ctl("cp", "--guest", guest.address, str(source))
        assert (ran.stdout, ran.returncode) == ("", 1 if source != bad else 2)
        (line,) = ran.stderr.splitlines()
        assert words in line
        assert "not UTF-8" in line
    # Under another name its content can be copied.
    assert ctl("cp", "--guest", guest.address, str(bad), "good").returncode == 0


def test_a_word_of_a_command_that_is_not_utf_8_is_named(ctl: Ctl) -> None:
    bad = os.fsdecode(b"bad\xff")
    for words in (("--", bad), ("--env", f"A={bad}", "--", "true")):
        ran = ctl("run", *words)
        assert (ran.stdout, ran.returncode) == ("", 125)
        assert ran.stderr == "kata-agent-ctl: b'bad\\xff': not UTF-8\n"
