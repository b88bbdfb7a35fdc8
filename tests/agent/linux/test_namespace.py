# SPDX-License-Identifier: Apache-2.0
"""Namespaces are made in threads of their own, and pinned on files."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

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


@in_namespaces("v2")
async def test_the_first_child_is_pid_1_with_an_empty_root(
    world: World, tmp_path: Path
) -> None:
    ours = os.readlink("/proc/self/ns/pid")

    def start() -> subprocess.Popen[str]:
        script = "echo $$; read line; ls -A /"
        return subprocess.Popen(
            ["busybox", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    with run_isolated(start, tmp_path, pivot_root=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        assert list(Path(f"/proc/{process.pid}/root").iterdir()) == []
        assert os.readlink(f"/proc/{process.pid}/ns/pid") != ours
        process.kill()
    assert os.readlink("/proc/self/ns/pid") == ours


def test_an_error_of_the_thread_is_the_callers() -> None:
    def fail() -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        in_new_thread(fail)
