# SPDX-License-Identifier: Apache-2.0
"""A program in another mount namespace that is held, and released."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.linux.exec_hold import ExecHold

pytestmark = pytest.mark.root

SCRIPT = """
mount -t tmpfs tmpfs /mnt && cp "$1" /mnt/program
echo ready; read line; /mnt/program ran; echo "status $?"
"""


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A shell with mounts of its own, which runs /mnt/program after a line of input."""
    echo = shutil.which("echo")
    assert echo is not None
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", echo],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def readable(process: subprocess.Popen[bytes], seconds: float) -> bool:
    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], seconds)[0])


def go_on(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")


def test_a_program_waits_for_the_release(other: subprocess.Popen[bytes]) -> None:
    assert other.stdout is not None
    hold = ExecHold(f"/proc/{other.pid}/root/mnt/program")
    try:
        go_on(other)
        assert not readable(other, 0.1)
        # Programs on other mounts are not held, and so not ours.
        subprocess.run(["true"], check=True)
    finally:
        hold.release()
    assert other.stdout.readline() == b"ran\n"
    assert other.stdout.readline() == b"status 0\n"
    hold.release()


def test_a_held_program_can_be_killed(other: subprocess.Popen[bytes]) -> None:
    hold = ExecHold(f"/proc/{other.pid}/root/mnt")
    try:
        go_on(other)
        children = Path(f"/proc/{other.pid}/task/{other.pid}/children")
        while not (found := children.read_text().split()):
            pass
        os.kill(int(found[0]), 9)
        assert other.stdout is not None
        assert other.stdout.readline() == b"status 137\n"
    finally:
        hold.release()


def test_a_path_that_cannot_be_held_leaves_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError, match="/missing"):
        ExecHold("/missing")
    assert len(os.listdir("/proc/self/fd")) == before
