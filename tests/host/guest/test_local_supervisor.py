# SPDX-License-Identifier: Apache-2.0
"""The supervisor as a process: its status lines, and nothing left after its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.child import child_environment
from kata_host.guest.local_settings import LocalSettings
from kata_host.guest.local_supervisor import remove_tree
from tests.helpers.namespace import require_root

TIMEOUT = 20


class Supervisor:
    """A supervisor whose control pipe the test holds."""

    def __init__(
        self,
        directory: Path,
        command: list[str],
        cgroup: str = "auto",
        *,
        slirp: str = "",
    ) -> None:
        self.directory = directory
        directory.mkdir()
        cmdline = directory / "cmdline"
        cmdline.touch()
        self.settings = LocalSettings(
            directory=str(directory),
            socket_path=str(directory / "guest.sock"),
            command=command,
            environment={"PATH": "/usr/bin:/bin"},
            cgroup=cgroup,
            shared=[],
            console=str(directory / "console"),
            cmdline=str(cmdline),
            slirp=slirp,
        )
        program = "from kata_host.guest.local_supervisor import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", program, json.dumps(self.settings._asdict())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=child_environment(),
        )

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def close(self) -> None:
        """Close the control pipe, as the end of the host process does."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def cgroups(self) -> list[Path]:
        # Not by `rglob`, which fails where another test removes a cgroup meanwhile.
        return [
            Path(directory, name)
            for directory, names, _ in os.walk("/sys/fs/cgroup")
            for name in names
            if name.startswith(f"kata-local-{self.process.pid}-")
        ]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    require_root()
    supervisor = Supervisor(tmp_path / "guest", ["sleep", "1000"])
    yield supervisor
    supervisor.close()
    supervisor.process.wait(TIMEOUT)
    assert supervisor.process.stdout is not None
    supervisor.process.stdout.close()


@pytest.mark.root
def test_the_end_of_the_host_process_ends_the_guest(supervisor: Supervisor) -> None:
    assert supervisor.read() == "ready"
    assert (supervisor.directory / "guest.sock").exists()
    assert supervisor.cgroups()
    supervisor.close()
    assert supervisor.read() == "ended: SIGKILL"
    assert supervisor.process.wait(TIMEOUT) == 0
    assert not supervisor.directory.exists()
    assert not supervisor.cgroups()


@pytest.mark.root
def test_the_guests_own_end_is_reported(tmp_path: Path) -> None:
    require_root()
    supervisor = Supervisor(tmp_path / "guest", ["sh", "-c", "exit 5"])
    assert supervisor.read() == "ready"
    assert supervisor.read() == "ended: exit status 5"
    supervisor.process.communicate(timeout=TIMEOUT)
    assert not supervisor.directory.exists()


@pytest.mark.root
def test_the_end_of_a_guest_is_the_cause_if_its_network_ends_too(
    tmp_path: Path,
) -> None:
    require_root()
    program = tmp_path / "slirp4netns"
    # Never ready: it waits for its end, which is that of its pid namespace.
    program.write_text("#!/bin/sh\nexec sleep 999\n")
    program.chmod(0o755)
    command = ["sh", "-c", "exit 5"]
    supervisor = Supervisor(tmp_path / "guest", command, slirp=str(program))
    assert supervisor.read() == "ready"
    assert supervisor.read() == "ended: exit status 5"
    supervisor.process.communicate(timeout=TIMEOUT)


@pytest.mark.root
@pytest.mark.parametrize(
    ("command", "cgroup", "message"),
    [
        (["/no/such/agent"], "auto", "No such file or directory"),
        (["true"], "v9", "unknown cgroup version 'v9'"),
    ],
)
def test_a_failure_is_one_line_and_leaves_nothing(
    tmp_path: Path, command: list[str], cgroup: str, message: str
) -> None:
    require_root()
    supervisor = Supervisor(tmp_path / "guest", command, cgroup)
    line = supervisor.read()
    assert line.startswith("failed: ")
    assert message in line
    supervisor.process.communicate(timeout=TIMEOUT)
    assert not supervisor.directory.exists()
    assert not supervisor.cgroups()


def test_a_tree_is_removed_with_links_but_not_what_they_name(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    top = tmp_path / "top"
    (top / "a/b").mkdir(parents=True)
    (top / "a/b/file").touch()
    (top / "link").symlink_to(outside)
    os.mkfifo(top / "fifo")
    remove_tree(str(top))
    assert not top.exists()
    assert (outside / "kept").exists()


def test_a_tree_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove_tree(str(tmp_path / "missing"))
