# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl run -it` on a terminal: keys, size, and the terminal's settings."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.helpers.pseudo_terminal import PseudoTerminal

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def terminal() -> Iterator[PseudoTerminal]:
    terminal = PseudoTerminal()
    terminal.resize(30, 100)
    yield terminal
    terminal.close()


def run_at(
    terminal: PseudoTerminal, started: Start, *command: str
) -> subprocess.Popen[bytes]:
    fd = terminal.program
    return started(*("run", "-i", "-t", "--", *command), stdin=fd, stdout=fd, stderr=fd)


def test_the_size_follows_that_of_our_terminal(
    terminal: PseudoTerminal, started: Start
) -> None:
    script = (
        "stty size; trap 'stty size; exit 4' WINCH; echo ready; while :; do :; done"
    )
    process = run_at(terminal, started, "sh", "-c", script)
    assert b"30 100" in terminal.expect(b"ready")
    terminal.resize(41, 119)
    process.send_signal(signal.SIGWINCH)
    terminal.expect(b"41 119")
    assert process.wait(timeout=30) == 4


def test_keys_go_to_the_command(terminal: PseudoTerminal, started: Start) -> None:
    process = run_at(terminal, started, "sh", "-c", 'read a; echo "<$a>"; exit 6')
    terminal.type(b"word\r")
    terminal.expect(b"<word>")
    assert process.wait(timeout=30) == 6


def test_ctrl_c_is_a_key(terminal: PseudoTerminal, started: Start) -> None:
    script = "trap 'echo caught; exit 7' INT; echo ready; while :; do :; done"
    process = run_at(terminal, started, "sh", "-c", script)
    terminal.expect(b"ready")
    terminal.type(b"\x03")
    terminal.expect(b"caught")
    assert process.wait(timeout=30) == 7


def test_ctrl_d_ends_the_input(terminal: PseudoTerminal, started: Start) -> None:
    process = run_at(terminal, started, "sh", "-c", "echo ready; cat; echo done")
    terminal.expect(b"ready")
    terminal.type(b"\x04")
    terminal.expect(b"done")
    assert process.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("exec /no/such", 127)],
)
def test_the_settings_are_restored(
    terminal: PseudoTerminal, started: Start, script: str, status: int
) -> None:
    before = terminal.settings()
    assert run_at(terminal, started, "sh", "-c", script).wait(timeout=30) == status
    assert terminal.settings() == before


def test_the_settings_are_restored_when_the_guest_dies(
    terminal: PseudoTerminal, started: Start
) -> None:
    before = terminal.settings()
    process = run_at(terminal, started, "sh", "-c", "echo ready; sleep 1000")
    terminal.expect(b"ready")
    assert terminal.settings() != before
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
        (supervisor,) = map(int, children.read().split())
    os.kill(supervisor, signal.SIGTERM)
    terminal.expect(b"guest ended")
    assert process.wait(timeout=30) == 125
    assert terminal.settings() == before


@pytest.mark.parametrize("given", [b"hello\n", b"hello", b""])
def test_input_that_is_no_terminal_comes_to_its_end(
    started: Start, given: bytes
) -> None:
    script = "stty -echo -onlcr; cat; echo done"
    process = started(
        *("run", "-i", "-t", "--", "sh", "-c", script),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    output, _ = process.communicate(given, timeout=30)
    assert process.returncode == 0
    assert output.endswith(given + b"done\n")


def test_a_shell_on_a_terminal_ends_with_the_input(started: Start) -> None:
    process = started(
        *("run", "-i", "-t", "--", "sh"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    shown = b""
    while b"# " not in shown:
        shown += process.stdout.read1()
    # The command takes the first end. Then the shell, which edits lines, has a line of
    # its own, and needs another end.
    output, _ = process.communicate(b"echo $((6*7)); cat\n", timeout=30)
    assert b"42" in output


def test_an_unfinished_line_of_a_shell_is_a_command(started: Start) -> None:
    process = started(
        *("run", "-i", "-t", "--", "sh"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    shown = b""
    while b"# " not in shown:
        shown += process.stdout.read1()
    process.communicate(b"exit 5", timeout=30)
    assert process.returncode == 5


def test_a_terminal_that_is_hung_up_ends_the_input_of_a_command(started: Start) -> None:
    terminal = PseudoTerminal()
    try:
        process = started(
            *("run", "-i", "-t", "--", "sh", "-c", "cat; exit 5"),
            stdin=terminal.program,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        terminal.type(b"unfinished")
        assert process.stdout is not None
        shown = b""
        while b"unfinished" not in shown:
            part = process.stdout.read1()
            assert part
            shown += part
    finally:
        terminal.close()
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (5, b"")
