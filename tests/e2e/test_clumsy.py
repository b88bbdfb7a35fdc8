# SPDX-License-Identifier: Apache-2.0
"""Odd streams, directories and words: one line of error, the right status, no hang."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Ctl
from tests.helpers.command_line import CTL

FULL = "kata-agent-ctl: standard output: No space left on device\n"


def test_a_run_whose_output_finds_no_room_ends_its_command(
    environment: dict[str, str],
) -> None:
    script = "echo hi; exec sleep 1000"
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [*CTL, "run", "--", "sh", "-c", script],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (ran.stderr, ran.returncode) == (FULL, 125)


def test_a_trace_that_nobody_reads_does_not_change_the_status(
    environment: dict[str, str],
) -> None:
    with open("/dev/full", "wb") as full:
        command = [*CTL, "run", "--trace", "--", "sh", "-c", "exit 7"]
        ran = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stderr=full
        )
    assert ran.returncode == 7


@pytest.mark.parametrize("name", [b"a b", b"a:b,c\\d", b"a\nb", b"a\xff"])
def test_a_temporary_directory_may_have_any_name(
    scratch: Path, environment: dict[str, str], name: bytes
) -> None:
    directory = scratch / os.fsdecode(name)
    directory.mkdir()
    ran = subprocess.run(
        [*CTL, "run", "--", "echo", "ok"],
        env={**environment, "TMPDIR": str(directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("ok\n", "", 0)
    directory.rmdir()


def test_a_root_file_system_whose_name_no_message_holds_is_named(
    ctl: Ctl, scratch: Path
) -> None:
    directory = scratch / os.fsdecode(b"r\xff")
    directory.mkdir()
    ran = ctl("run", "--rootfs", str(directory), "--", "true")
    directory.rmdir()
    assert ran.returncode == 125
    assert ran.stderr == f"kata-agent-ctl: rootfs '{scratch}/r\\xff': not UTF-8\n"


@pytest.mark.parametrize(
    ("words", "status", "fault"),
    [
        (["top", "--guest", "unix:///x", "\udcff"], 2, "b'\\xff': not UTF-8"),
        (["exec", "--guest", "unix:///x", "\udcff", "--", "a"], 125, "not UTF-8"),
        (["call", "--guest", "unix:///\udcff", "Check"], 2, "not UTF-8"),
        (["run", "--rootfs", "", "--", "true"], 125, "--rootfs: empty path"),
        (["cp", "--guest", "unix:///x", ""], 2, "SOURCE: empty path"),
        (["guest", "start", "--cpus", "0"], 2, "--cpus: number '0': not a whole"),
        (["guest", "start", "--memory", "-1"], 2, "--memory: size '-1': not a number"),
        (["call", "--guest", "unix:///x", "Check", "@/"], 1, "/: Is a directory"),
        (["call", "--guest", "unix:///x", "Check", "@/dev/zero"], 1, "longer than"),
        (["trace", "--html", "/no/x", "hvsock:///x"], 1, "/no/x: No such file"),
    ],
)
def test_a_word_that_cannot_be_used_is_named(
    ctl: Ctl, words: list[str], status: int, fault: str
) -> None:
    ran = ctl(*words)
    (line,) = ran.stderr.splitlines()
    assert line.startswith("kata-agent-ctl: ")
    assert fault in line
    assert (ran.stdout, ran.returncode) == ("", status)


def test_a_request_that_is_no_text_is_named(environment: dict[str, str]) -> None:
    command = [*CTL, "call", "--guest", "unix:///x", "Check", "-"]
    ran = subprocess.run(command, env=environment, input=b"\xff", capture_output=True)
    assert ran.stderr.startswith(b"kata-agent-ctl: call: standard input: not UTF-8")
    assert ran.returncode == 1


def test_a_start_where_no_guest_can_be_kept_is_one_line(
    environment: dict[str, str],
) -> None:
    ran = subprocess.run(
        [*CTL, "guest", "start"],
        env={**environment, "XDG_RUNTIME_DIR": "/etc/passwd"},
        capture_output=True,
        text=True,
    )
    fault = "/etc/passwd/kata-agent: Not a directory"
    assert (ran.stderr, ran.returncode) == (f"kata-agent-ctl: {fault}\n", 1)


def test_a_copy_out_of_a_directory_that_is_gone_is_one_line(
    environment: dict[str, str], tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'rmdir "$0"; exec "$@"'
    command = [*CTL, "cp", "--guest", "unix:///x", "."]
    ran = subprocess.run(
        ["sh", "-c", script, str(gone), *command],
        cwd=gone,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ran.stderr == "kata-agent-ctl: .: No such file or directory\n"
    assert ran.returncode == 1
