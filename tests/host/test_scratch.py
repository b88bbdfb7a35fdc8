# SPDX-License-Identifier: Apache-2.0
"""Temporary directories of processes that live and of some that were killed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kata_host import scratch
from kata_host.scratch import Scratch, sweep

PROGRAM = """
import os, pathlib, signal, sys
from kata_host.scratch import Scratch
path = Scratch("guest", pathlib.Path(sys.argv[1])).make()
(path / "below").mkdir()
(path / "below" / "file").touch()
print(path, flush=True)
signal.pause()
"""


def start(top: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(top)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().rstrip())


def test_a_directory_is_the_users_alone_and_gone_at_the_end(tmp_path: Path) -> None:
    with Scratch("guest", tmp_path) as path:
        assert path.parent == tmp_path
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "file").touch()
        assert os.listdir(tmp_path) == [path.name]
        # A server that makes a socket there locks the directory for a moment.
        fd = os.open(path, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(fd)
    assert not os.listdir(tmp_path)


def test_a_name_is_chosen_before_the_directory_is_made(tmp_path: Path) -> None:
    chosen = Scratch("guest", tmp_path)
    assert not os.listdir(tmp_path)
    chosen.remove()
    assert chosen.make() == chosen.path
    chosen.remove()
    chosen.remove()
    assert not os.listdir(tmp_path)


def test_directories_of_killed_processes_are_swept_and_those_of_others_are_not(
    tmp_path: Path,
) -> None:
    (killed, left), (living, kept) = start(tmp_path), start(tmp_path)
    try:
        killed.kill()
        killed.wait()
        other = tmp_path / "kata-guest-0123abcd"
        other.mkdir()
        with Scratch("source", tmp_path) as own:
            assert {*tmp_path.iterdir()} == {kept, other, own}
        assert (kept / "below" / "file").exists()
    finally:
        for process in (killed, living):
            process.send_signal(signal.SIGKILL)
            process.communicate()
    sweep(tmp_path)
    assert [*tmp_path.iterdir()] == [other]
    assert not left.exists()


def test_a_sweeper_that_comes_first_does_not_stop_the_maker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is removed by another process before it is locked."""
    lock_and_rename = scratch._lock_and_rename
    swept = []

    def late(new: Path, path: Path) -> int:
        if not swept:
            swept.append(new)
            sweep(tmp_path)
            assert not new.exists()
        return lock_and_rename(new, path)

    monkeypatch.setattr(scratch, "_lock_and_rename", late)
    with Scratch("guest", tmp_path) as path:
        assert [*tmp_path.iterdir()] == [path]
    assert swept


def test_without_a_temporary_directory_it_is_tmp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", "/not/there")
    assert Scratch("guest").path.parent == Path("/tmp")
