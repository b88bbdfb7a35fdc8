# SPDX-License-Identifier: Apache-2.0
"""Namespaces are made in threads of their own, and pinned on files."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kata_agent.linux import libc
from kata_agent.linux.namespace import (
    CLONE_NEWUTS,
    in_new_thread,
    pin_new,
    run_isolated,
    set_hostname,
)
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v2")
async def test_a_pinned_namespace_keeps_its_hostname(
    world: World, tmp_path: Path
) -> None:
    before = socket.gethostname()
    pin = tmp_path / "uts"
    pin.touch()
    pin_new(CLONE_NEWUTS, pin, lambda: set_hostname("pinned"))
    command = ["nsenter", f"--uts={pin}", "uname", "-n"]
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    assert told.stdout == "pinned\n"
    assert socket.gethostname() == before


def isolated(
    root: Path, started: list[subprocess.Popen[str]] | None = None
) -> subprocess.Popen[str]:
    """Isolate a shell that waits for a line; it is in `started` even on failure."""
    found = [] if started is None else started

    def start() -> int:
        process = subprocess.Popen(
            ["busybox", "sh", "-c", "echo $$; read line; ls -A /"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        found.append(process)
        return process.pid

    assert run_isolated(start, root, pivot_root=True) == found[0].pid
    return found[0]


@in_namespaces("v2")
async def test_the_first_child_is_pid_1_with_an_empty_root(
    world: World, tmp_path: Path
) -> None:
    ours = os.readlink("/proc/self/ns/pid")

    with isolated(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        assert list(Path(f"/proc/{process.pid}/root").iterdir()) == []
        assert os.readlink(f"/proc/{process.pid}/ns/pid") != ours
        process.kill()
    assert os.readlink("/proc/self/ns/pid") == ours


@in_namespaces("v2")
async def test_a_child_whose_root_cannot_be_changed_is_killed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(function: str, *arguments: object, **named: Any) -> int:
        if function == "pivot_root":
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return real(function, *arguments, **named)

    real = libc.call
    monkeypatch.setattr(libc, "call", call)
    started: list[subprocess.Popen[str]] = []
    with pytest.raises(OSError, match="Cannot allocate memory"):
        isolated(tmp_path, started)
    with started[0] as process:
        assert process.wait() == -signal.SIGKILL


def test_an_error_of_the_thread_is_the_callers() -> None:
    def fail() -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        in_new_thread(fail)
