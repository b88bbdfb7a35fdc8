# SPDX-License-Identifier: Apache-2.0
"""With a program in its place; slirp4netns itself is in `tests/e2e/test_network.py`."""

from __future__ import annotations

import os
import select
import shlex
import sys
from pathlib import Path
from typing import Final

import pytest

from kata_host.guest.slirp import Slirp
from tests.helpers.namespace import require_root

WITH_TAP: Final = """
import fcntl, os, struct, sys
tap = os.open("/dev/net/tun", os.O_RDWR)
os.set_inheritable(tap, True)
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"tap", 0x1002))  # TUNSETIFF
os.execvp("sh", ["sh", "-c", *sys.argv[1:]])
"""
"""Runs a script that has a tap device, in a network of its own."""


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "slirp4netns"
    path.touch(mode=0o755)
    return path


def start(program: Path, script: str) -> Slirp:
    require_root()
    words = ["unshare", "--net", sys.executable, "-c", WITH_TAP, script]
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$0" "$@"\n')
    return Slirp(str(program), os.getpid(), [])


def test_it_serves_the_namespace_of_the_guest_once_it_says_so(program: Path) -> None:
    words = program.parent / "words"
    before = open_descriptors()
    slirp = start(program, f'echo "$@" > {words}; printf 1 >&3; exec sleep 999')
    assert not select.select([slirp], [], [], 0)[0]
    slirp.close()
    assert slirp.failure is None
    assert open_descriptors() == before
    command = words.read_text().split()
    assert "--disable-host-loopback" in command
    assert command[-2:] == [f"/proc/{os.getpid()}/ns/net", "eth0"]


def test_one_that_ends_at_the_start_is_an_error_with_its_last_words(
    program: Path,
) -> None:
    before = open_descriptors()
    with pytest.raises(OSError, match=r"^local guest: slirp4netns: exit status 1: b$"):
        start(program, "echo a; echo b >&2; exit 1")
    assert open_descriptors() == before


def test_one_that_never_serves_is_given_up_with_its_guest(program: Path) -> None:
    program.write_text("#!/bin/sh\nexec sleep 999\n")
    before = open_descriptors()
    reader, writer = os.pipe()
    os.close(writer)
    with pytest.raises(OSError, match="slirp4netns: not ready"):
        Slirp(str(program), os.getpid(), [reader])
    os.close(reader)
    assert open_descriptors() == before


def test_one_without_a_tap_device_is_refused(program: Path) -> None:
    # Its frames cannot be filtered.
    program.write_text("#!/bin/sh\nprintf 1 >&3; exec sleep 999\n")
    before = open_descriptors()
    with pytest.raises(OSError, match="slirp4netns: filter of frames: .* no tap dev"):
        Slirp(str(program), os.getpid(), [])
    assert open_descriptors() == before


def test_one_that_ends_later_says_how(program: Path) -> None:
    end = program.parent / "end"
    os.mkfifo(end)
    slirp = start(program, f"printf 1 >&3; read line < {end}; exit 4")
    end.write_text("\n")
    select.select([slirp], [], [])
    slirp.close()
    assert slirp.failure == "slirp4netns: exit status 4"


def test_one_that_ends_before_its_frames_are_filtered_says_how(program: Path) -> None:
    before = open_descriptors()
    program.write_text("#!/bin/sh\nprintf 1 >&3; exit 4\n")
    with pytest.raises(OSError, match="slirp4netns: (exit status 4|filter of frames)"):
        Slirp(str(program), os.getpid(), [])
    assert open_descriptors() == before


def test_one_that_writes_without_end_is_not_held_up(program: Path) -> None:
    script = "trap '' PIPE; head -c 1000000 /dev/zero; printf 1 >&3; exec sleep 999"
    start(program, script).close()


def test_a_program_that_cannot_be_executed_leaves_no_descriptor(tmp_path: Path) -> None:
    before = open_descriptors()
    with pytest.raises(OSError, match="No such file"):
        Slirp(str(tmp_path / "nothing"), os.getpid(), [])
    assert open_descriptors() == before
