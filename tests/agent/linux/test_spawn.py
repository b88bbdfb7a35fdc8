# SPDX-License-Identifier: Apache-2.0
"""Programs that tell with which attributes they began."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kata_agent.linux.memory_file import memory_file
from kata_agent.linux.spawn import DEFAULT_ENVIRONMENT, Command, spawn


def output_of(*argv: str, **attributes: object) -> bytes:
    """Run a program to its end, and return its stdout."""
    with memory_file("stdout") as out:
        command = Command(argv, stdout=out, **attributes)
        _, status = os.waitpid(spawn(command), 0)
        assert status == 0
        return os.pread(out, 1 << 20, 0)


def test_a_program_sees_the_default_environment_and_not_ours() -> None:
    os.environ["SECRET"] = "x"
    try:
        seen = output_of("env")
    finally:
        del os.environ["SECRET"]
    assert seen == f"PATH={DEFAULT_ENVIRONMENT['PATH']}\n".encode()
    assert output_of("env", env={"A": "b"}) == b"A=b\n"


def test_descriptors_that_are_not_given_are_dev_null() -> None:
    seen = output_of("readlink", "/proc/self/fd/0", "/proc/self/fd/2")
    assert seen == b"/dev/null\n/dev/null\n"


def test_only_kept_descriptors_are_inherited() -> None:
    with memory_file("kept") as kept, memory_file("other") as other:
        seen = output_of("ls", "/proc/self/fd", keep=[kept]).decode().split()
        assert str(kept) in seen
        assert str(other) not in seen


def test_the_program_may_differ_from_its_first_argument() -> None:
    assert output_of("name", "-c", "echo $0", program="sh") == b"name\n"


def test_a_new_session_is_led_by_the_program() -> None:
    script = "cut -d' ' -f1,6 /proc/$$/stat"
    pid, session = output_of("sh", "-c", script, new_session=True).split()
    assert pid == session
    pid, session = output_of("sh", "-c", script).split()
    assert int(session) == os.getsid(0) != int(pid)


def test_signals_have_their_default_actions_again() -> None:
    def ignored(**attributes: object) -> int:
        line = output_of("grep", "SigIgn", "/proc/self/status", **attributes)
        return int(line.split()[1], 16)

    # Python itself ignores SIGPIPE.
    assert not ignored() & 1 << (signal.SIGPIPE - 1)
    assert ignored(sigpipe=False) & 1 << (signal.SIGPIPE - 1)


def test_a_terminal_becomes_the_controlling_one() -> None:
    master, slave = os.openpty()
    path = os.ttyname(slave)
    pid = spawn(Command(["sh", "-c", "tty </dev/tty; tty"], terminal=path))
    _, status = os.waitpid(pid, 0)
    assert status == 0
    seen = os.read(master, 1000).decode().split()
    assert seen == ["/dev/tty", path]
    os.close(master)
    os.close(slave)


def test_a_program_that_is_missing_or_no_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="cannot execute 'no-such-program'"):
        spawn(Command(["no-such-program"]))
    plain = tmp_path / "plain"
    plain.write_text("")
    with pytest.raises(PermissionError, match=f"cannot execute '{plain}'"):
        spawn(Command(["name"], program=str(plain)))


def test_standard_descriptors_may_be_swapped() -> None:
    """The child's stdout is our 2 and its stderr our 1."""
    script = (
        "from kata_agent.linux.spawn import Command, spawn; import os;"
        "shell = ['sh', '-c', 'echo out; echo err >&2'];"
        "os.waitpid(spawn(Command(shell, stdout=2, stderr=1)), 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert (done.stdout, done.stderr) == (b"err\n", b"out\n")
