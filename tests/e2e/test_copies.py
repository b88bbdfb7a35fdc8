# SPDX-License-Identifier: Apache-2.0
"""Copies that are odd, cut short or refused, from the command line."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Ctl, printed, wait_until
from tests.helpers.command_line import CTL

NAMES = [b"bad\xff", b"new\nline", b"n" * 255, b"-x", b" ", b"*"]
MIB = 1 << 20
GIB = 1 << 30
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw+ep (linux/capability.h, vfs_cap_data)"""


@pytest.fixture
def box(ctl_of_one: Ctl) -> Ctl:
    """Start the container `box`; return a function that runs kata-agent-ctl."""
    command = ("run", "-d", "--guest", "one", "--name", "box", "--", "sleep", "10000")
    assert printed(ctl_of_one(*command)) == "box\n"
    return ctl_of_one


def in_box(ctl: Ctl, script: str) -> str:
    return printed(ctl("exec", "box", "--", "sh", "-c", script))


def unnamed_size(folder: Path) -> int:
    """Return the size of a file that is made in the folder, and has no name yet."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        # Processes come and go.
        with contextlib.suppress(OSError):
            if os.readlink(link).startswith(f"{folder}/#"):
                return link.stat().st_size
    return 0


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A tree of what a file system may hold."""
    tree = tmp_path / "odd"
    deep = tree / ("d" * 200) / ("e" * 200)
    deep.mkdir(parents=True)
    for name in NAMES:
        (deep / os.fsdecode(name)).write_bytes(name)
    (tree / "setuid").write_text("x")
    (tree / "setuid").chmod(0o6751)
    os.link(tree / "setuid", tree / "hard")
    (tree / "link").symlink_to("setuid")
    os.truncate(os.open(tree / "sparse", os.O_CREAT | os.O_WRONLY), 8 * MIB)
    return tree


def test_odd_files_go_in_and_come_back(box: Ctl, odd: Path, tmp_path: Path) -> None:
    printed(box("cp", str(odd), "box:/odd"))
    assert in_box(box, "cd /odd; stat -c '%a %u %h' setuid; stat -c %s sparse") == (
        f"6751 0 2\n{8 * MIB}\n"
    )
    printed(box("cp", "box:/odd", str(tmp_path / "back")))
    back = tmp_path / "back"
    deep = next(path for path in back.rglob("*") if path.name.startswith("e"))
    assert {os.fsencode(path.name) for path in deep.iterdir()} == set(NAMES)
    assert all(path.read_bytes() == os.fsencode(path.name) for path in deep.iterdir())
    # No program of a guest gets rights on the host; a sparse file is one again.
    assert (back / "setuid").stat().st_mode & 0o7777 == 0o751
    assert (back / "setuid").stat().st_nlink == 2
    assert (back / "link").readlink() == Path("setuid")
    assert (back / "sparse").stat().st_size == 8 * MIB
    assert (back / "sparse").stat().st_blocks * 512 < MIB


def test_what_is_no_file_is_left_out_and_named(
    box: Ctl, odd: Path, tmp_path: Path
) -> None:
    os.mkfifo(odd / "fifo")
    os.mknod(odd / "null", 0o020644, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(odd / "socket"))
        ran = box("cp", str(odd), "box:/odd")
    kinds = ["fifo", "null", "socket"]
    assert sorted(ran.stderr.splitlines()) == [
        f"kata-agent-ctl: left out, as it is no file: {odd}/{kind}" for kind in kinds
    ]
    assert ran.returncode == 0
    for kind in kinds:
        ran = box("cp", str(odd / kind), "box:/alone")
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
        assert f"{odd}/{kind}: not a file, a directory or a symbolic link" in ran.stderr
    in_box(box, "mkfifo /odd/fifo; mknod /odd/null c 1 3")
    ran = box("cp", "box:/odd", str(tmp_path / "back"))
    assert "odd/fifo" in ran.stderr
    assert "odd/null" in ran.stderr
    assert ran.returncode == 0


def test_a_file_does_not_take_the_place_of_a_directory(
    box: Ctl, tmp_path: Path
) -> None:
    (tmp_path / "name").write_text("x")
    (tmp_path / "to/name").mkdir(parents=True)
    in_box(box, "mkdir -p /to/name; echo x >/name")
    ran = box("cp", str(tmp_path / "name"), "box:/to")
    assert ran.stderr == "kata-agent-ctl: cp: /to/name: Is a directory\n"
    assert in_box(box, "ls -A /to /to/name") == "/to:\nname\n\n/to/name:\n"
    ran = box("cp", "box:/name", str(tmp_path / "to"))
    assert "Is a directory" in ran.stderr
    assert os.listdir(tmp_path / "to/name") == []
    # The other way round.
    ran = box("cp", str(tmp_path / "to"), "box:/name")
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    ran = box("cp", "box:/to", str(tmp_path / "name"))
    assert ran.stderr == f"kata-agent-ctl: {tmp_path}/name: Not a directory\n"
    assert sorted(os.listdir(tmp_path)) == ["name", "to"]
    assert ".kata" not in in_box(box, "ls -A /")


def test_control_c_in_the_middle_leaves_nothing(
    box: Ctl, one: dict[str, str], tmp_path: Path
) -> None:
    # A terabyte of nothing. With an attribute, it goes without its holes.
    (tmp_path / "big").touch()
    os.truncate(tmp_path / "big", 1 << 40)
    os.setxattr(tmp_path / "big", "security.capability", CAPABILITY)
    (tmp_path / "out").mkdir()
    in_box(box, "mkdir /in; truncate -s 999G /big")

    def interrupted(source: str, target: str, begun: Callable[[], object]) -> str:
        with subprocess.Popen(
            ["env", "--default-signal", *CTL, "cp", source, target],
            env=one,
            stderr=subprocess.PIPE,
            text=True,
        ) as copying:
            try:
                wait_until(begun)
            finally:
                copying.send_signal(signal.SIGINT)
            _, said = copying.communicate()
            assert copying.returncode == 128 + signal.SIGINT
            return said

    out = tmp_path / "out"
    said = interrupted("box:/big", str(out), lambda: os.listdir(out))
    assert (said, os.listdir(out)) == ("", [])
    said = interrupted(
        str(tmp_path / "big"), "box:/in", lambda: in_box(box, "ls -A /in")
    )
    assert (said, in_box(box, "ls -A /in")) == ("", "")

    # In a directory that was there, what is whole stays, and that is said.
    script = "mkdir /tree; head -c 3000000 /dev/zero | tr '\\0' x >/tree/b"
    in_box(box, f"{script}; truncate -s 999G /tree/b")
    (out / "tree").mkdir()
    (out / "tree/b").write_text("old")
    said = interrupted(
        "box:/tree",
        str(out),
        lambda: unnamed_size(out / "tree") > MIB,
    )
    assert said == f"kata-agent-ctl: {out}/tree: may have a part of the copy\n"
    assert os.listdir(out / "tree") == ["b"]
    assert (out / "tree/b").read_text() == "old"
    assert in_box(box, "ps | grep -c '[t]ar -'; :") == "0\n"


def test_a_full_disk_has_nothing_of_the_copy(box: Ctl, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(MIB) * 80)
    ran = box("cp", str(tmp_path / "big"), "box:/dev/shm")
    assert "No space left on device" in ran.stderr
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert in_box(box, "ls -A /dev/shm") == ""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(small)], check=True
    )
    try:
        in_box(box, "mkdir /t; echo x >/t/a; head -c 2000000 /dev/urandom >/t/b")
        ran = box("cp", "box:/t", str(small / "new"))
        words = f"kata-agent-ctl: cp: {small}/new/b: No space left on device\n"
        assert (ran.stderr, os.listdir(small)) == (words, [])
        # What was there before is as it was.
        (small / "b").write_text("old")
        ran = box("cp", "box:/t/b", str(small))
        assert "b: No space left on device" in ran.stderr
        assert (os.listdir(small), (small / "b").read_text()) == (["b"], "old")
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_read_only_root_is_told(ctl_of_one: Ctl, tmp_path: Path) -> None:
    command = ("run", "-d", "--guest", "one", "--read-only", "--name", "box", "--")
    printed(ctl_of_one(*command, "sleep", "10000"))
    (tmp_path / "f").write_text("x")
    ran = ctl_of_one("cp", str(tmp_path / "f"), "box:/srv")
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert "Read-only file system" in ran.stderr
    assert "local guest" not in ran.stderr


def test_holes_go_in(box: Ctl, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    content = os.urandom(MIB)
    with open(tree / "disk", "wb") as file:
        file.write(b"first")
        file.seek(5 * GIB)
        file.write(content)
        file.truncate(10 * GIB + 7)
    os.utime(tree / "disk", (0, 1_000_000))
    (tree / "disk").chmod(0o6750)
    os.link(tree / "disk", tree / "same")
    (tree / "small").write_text("x")
    printed(box("cp", str(tree), "box:/tree"))
    # And added to what is there, alone, and with the guest's own tar.
    in_box(box, "mkdir /there; echo old >/there/disk")
    printed(box("cp", f"{tree}/.", "box:/there"))
    printed(box("cp", str(tree / "disk"), "box:/alone"))
    printed(box("cp", str(tree / "disk"), "one:/dev/shm"))
    digest = hashlib.sha256(content).hexdigest()
    for place in ("/tree/disk", "/there/disk", "/alone"):
        said = in_box(
            box,
            f"stat -c '%a %u %s %Y' {place}; head -c 5 {place}; echo; "
            f"dd if={place} bs=1M skip=5120 count=1 2>/dev/null | sha256sum; "
            f"test $(stat -c %b {place}) -lt 4096 && echo sparse",
        )
        assert said.splitlines() == [
            f"6750 0 {10 * GIB + 7} 1000000",
            "first",
            f"{digest}  -",
            "sparse",
        ]
    assert in_box(box, "stat -c %h /tree/disk /tree/same") == "2\n2\n"
    assert ".kata" not in in_box(box, "ls -A / /tree /there")


def test_extended_attributes_are_kept_as_defined(
    box: Ctl, tmp_path: Path, one: dict[str, str]
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    program = tree / "program"
    program.write_text("x")
    os.setxattr(program, "security.capability", CAPABILITY)
    os.setxattr(program, "user.note", b"\0binary\n=\xff")
    os.setxattr(program, "trusted.mine", b"no")
    os.setxattr(tree, "user.of-a-folder", b"")
    # GNU's tar keeps them; it is that of the local guest itself.
    ran = box("cp", str(tree), "one:/run")
    assert (ran.returncode, ran.stderr) == (0, "")
    printed(box("cp", "one:/run/tree", str(tmp_path / "back")))
    back = tmp_path / "back"
    kept = {
        name: os.getxattr(back / "program", name)
        for name in os.listxattr(back / "program")
    }
    # No program of a guest gets rights on this host.
    assert kept == {"user.note": b"\0binary\n=\xff"}
    assert os.listxattr(back) == ["user.of-a-folder"]
    # The tar of busybox does not keep them, and that is told.
    ran = box("cp", str(tree), "box:/tree")
    words = "/tree: without extended attributes, which need GNU tar there"
    assert (ran.returncode, ran.stderr) == (0, f"kata-agent-ctl: {words}\n")
    assert in_box(box, "cat /tree/program") == "x"


@pytest.mark.parametrize("size", [0, 1, 20])
def test_a_killed_copy_leaves_nothing(
    box: Ctl, one: dict[str, str], tmp_path: Path, size: int
) -> None:
    """Killed as soon as something is there, or that many MiB."""
    big = tmp_path / "tree/big"
    big.parent.mkdir()
    big.touch()
    os.truncate(big, 1 << 40)
    # It goes without its holes.
    os.setxattr(big, "security.capability", CAPABILITY)
    (tmp_path / "out").mkdir()
    in_box(box, "mkdir /in /tree; truncate -s 999G /tree/big")

    def killed(source: str, target: str, begun: Callable[[], object]) -> None:
        with subprocess.Popen([*CTL, "cp", source, target], env=one) as copying:
            try:
                wait_until(begun)
            finally:
                copying.kill()

    def has_begun() -> bool:
        said = in_box(box, "ls -A /in; du -sm /in | cut -f1")
        return ".kata-" in said and int(said.split()[-1]) >= size

    for source in (big.parent, big):
        killed(str(source), "box:/in", has_begun)
        # Its end of the stream is gone, which the guest sees without another command.
        wait_until(lambda: in_box(box, "ls -A /in; ps | grep '[t]ar -x'; :") == "")
    out = tmp_path / "out"
    for path in ("/tree", "/tree/big"):
        killed(f"box:{path}", str(out), lambda: os.listdir(out))
        in_box(box, "echo x >/small")
        printed(box("cp", "box:/small", str(out)))
        assert os.listdir(out) == ["small"]
        (out / "small").unlink()
    guest = Path(one["XDG_RUNTIME_DIR"])
    assert not [path for path in guest.rglob("*") if "port" in path.name]
    assert not list(guest.rglob("*.sock_*"))
    assert in_box(box, "ps | grep '[t]ar'; :") == ""


@pytest.mark.slow
def test_a_file_of_64_mib_is_the_same_there_and_back(box: Ctl, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(MIB) * 64)
    digest = hashlib.sha256((tmp_path / "big").read_bytes()).hexdigest()
    printed(box("cp", str(tmp_path / "big"), "box:/big"))
    assert in_box(box, "sha256sum </big") == f"{digest}  -\n"
    printed(box("cp", "box:/big", str(tmp_path / "back")))
    assert hashlib.sha256((tmp_path / "back").read_bytes()).hexdigest() == digest


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """A folder of this host, which must be the same after the test."""
    folder = tmp_path / "host"
    folder.mkdir()
    (folder / "file").write_text("of the host")
    before = folder.stat().st_mtime_ns
    yield folder
    assert (os.listdir(folder), folder.stat().st_mtime_ns) == (["file"], before)
    assert (folder / "file").read_text() == "of the host"


def test_a_copy_into_a_local_guest_does_not_change_this_host(
    ctl_of_one: Ctl, host: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("new")
    (tmp_path / "way").symlink_to(host)
    printed(ctl_of_one("cp", str(tmp_path / "way"), "one:/run"))
    for path in (f"{host}", f"/run/../{host}/new", "/run/way"):
        ran = ctl_of_one("cp", str(tmp_path / "file"), f"one:{path}")
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
        assert "the root of a local guest is this host's; only /run and" in ran.stderr
    archive = printed(ctl_of_one("cp", f"one:{host}/file", "-"))
    assert "of the host" in archive
    ran = ctl_of_one("cp", "-", f"one:{host}", input=archive)
    assert "the root of a local guest is this host's" in ran.stderr
    printed(ctl_of_one("cp", str(tmp_path / "file"), "one:/run/way2"))
    printed(ctl_of_one("cp", "one:/run/way2", str(tmp_path / "back")))
    assert (tmp_path / "back").read_text() == "new"


def test_the_name_of_a_guest_goes_before_the_beginning_of_a_containers(
    ctl_of_one: Ctl, tmp_path: Path
) -> None:
    command = ("run", "-d", "--guest", "one", "--name", "one-more", "--")
    printed(ctl_of_one(*command, "sleep", "10000"))
    (tmp_path / "file").write_text("x")
    printed(ctl_of_one("cp", str(tmp_path / "file"), "one:/run/of-the-guest"))
    found = ctl_of_one("exec", "one-more", "--", "ls", "/run")
    assert "of-the-guest" not in found.stdout
    printed(ctl_of_one("cp", "one:/run/of-the-guest", str(tmp_path / "back")))
