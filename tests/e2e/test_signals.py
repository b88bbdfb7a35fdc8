# SPDX-License-Identifier: Apache-2.0
"""Signals to kata-agent-ctl reach the command, or end a run that has no command yet."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Process = subprocess.Popen[bytes]
Start = Callable[..., Process]


def started_script(started: Start, script: str) -> Process:
    """Start a script that prints `ready`, and wait for that."""
    process = started("run", "--", "sh", "-c", script, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def rest_of(process: Process) -> bytes:
    assert process.stdout is not None
    return process.stdout.read()


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"])
def test_a_signal_is_handled_by_the_command(started: Start, name: str) -> None:
    script = f"trap 'echo got {name}; exit 5' {name}; echo ready; while :; do :; done"
    process = started_script(started, script)
    process.send_signal(signal.Signals[f"SIG{name}"])
    assert rest_of(process) == f"got {name}\n".encode()
    assert process.wait() == 5


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_a_signal_ends_a_command_that_does_not_handle_it(
    started: Start, name: str
) -> None:
    process = started_script(started, "echo ready; exec sleep 1000")
    number = signal.Signals[f"SIG{name}"]
    process.send_signal(number)
    assert process.wait(timeout=30) == 128 + number


def test_a_second_interrupt_kills_a_command_that_ignores_the_first(
    started: Start,
) -> None:
    script = "trap 'echo ignored' INT; echo ready; while :; do :; done"
    process = started_script(started, script)
    assert process.stdout is not None
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == b"ignored\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 137


def test_interrupts_from_the_keyboard_leave_nothing(started: Start) -> None:
    """Ctrl-C twice in a row: both reach the whole process group."""
    process = started(
        *("run", "--", "sh", "-c", "trap '' INT; echo ready; sleep 1000"),
        stdout=subprocess.PIPE,
        process_group=0,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        # A signal that is still pending would swallow the next one.
        while has_signal(process.pid, "ShdPnd", signal.SIGINT):
            pass
    assert process.wait(timeout=30) == 137


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_command_runs_ends_the_program(
    started: Start, scratch: Path, number: signal.Signals
) -> None:
    # The agent of this guest never answers, so there is no command yet.
    path = scratch / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        process = started("run", "--guest", f"hvsock://{path}:1024", "--", "true")
        with listener.accept()[0]:
            process.send_signal(number)
            assert process.wait(timeout=30) == 128 + number
    path.unlink()


def has_signal(pid: int, field: str, number: signal.Signals) -> bool:
    """Tell whether a signal is in one of the sets of man 5 proc_pid_status."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, mask = line.partition(":")
        if name == field:
            return bool(int(mask, 16) & 1 << number - 1)
    raise AssertionError(f"no {field} in the status of {pid}")
