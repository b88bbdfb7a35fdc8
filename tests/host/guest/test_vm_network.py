# SPDX-License-Identifier: Apache-2.0
"""With `sleep` in QEMU's place; QEMU itself is in `tests/vm/test_user_network.py`."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.linux.beneath import opened
from kata_host.guest.bound_child import spawn_bound
from kata_host.guest.vm_network import VmNetwork
from tests.helpers.outside_network import (
    ADDRESS,
    LOOPBACK_PORT,
    NAME,
    PORT,
    OutsideNetwork,
    outside_network,
    require_slirp,
)

PATIENCE = 20.0
HOLD = """
import os, sys
from pathlib import Path
from tests.host.guest.test_vm_network import connected
with connected(Path(sys.argv[1])) as (network, qemu):
    print(qemu, network.process.pid, flush=True)
    sys.stdin.read()
"""
REACH = """
import socket, sys
for address in sys.argv[1:]:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), 5).close()
        print("reached")
    except OSError as error:
        print(error.strerror or error)
"""


@contextlib.contextmanager
def connected(directory: Path) -> Iterator[tuple[VmNetwork, int]]:
    """Have a process in the namespaces of a VM; yield the network and its pid."""
    network = VmNetwork(directory)
    says, up = os.pipe()
    command = ["sh", "-c", f"echo >&{up}; exec sleep 999"]
    qemu = spawn_bound(command, inside=network.command(), pass_fds=[up])
    os.close(up)
    try:
        assert os.read(says, 1)
        os.close(says)
        with open(directory / "log", "ab") as log:
            network.start(qemu.pid, log)
        yield network, qemu.pid
    finally:
        network.close()
        qemu.kill()
        qemu.wait()


@contextlib.contextmanager
def held(outside: OutsideNetwork, directory: Path) -> Iterator[tuple[int, int, int]]:
    """Have such a process of a program in `outside`; yield all three pids."""
    with subprocess.Popen(
        outside.command(sys.executable, "-c", HOLD, os.fspath(directory)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            assert program.stdout is not None
            qemu, slirp = map(int, program.stdout.readline().split())
            yield program.pid, qemu, slirp
        finally:
            assert program.stdin is not None
            program.stdin.close()


def test_a_vm_reaches_what_the_host_reaches_but_not_its_loopback(
    tmp_path: Path,
) -> None:
    require_slirp()
    (tmp_path / "vm").mkdir()
    with outside_network(tmp_path) as outside:
        with held(outside, tmp_path / "vm") as (_, qemu, _):
            inside = ["nsenter", f"--target={qemu}", "--net", "--mount"]
            hosts = ["127.0.0.1", "10.0.3.2", "10.0.3.3", ADDRESS]
            addresses = [f"{NAME}:{PORT}", *(f"{it}:{LOOPBACK_PORT}" for it in hosts)]
            done = subprocess.run(
                [*inside, sys.executable, "-c", REACH, *addresses],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            by_name, *hidden = done.stdout.splitlines()
            assert by_name == "reached"
            assert len(hidden) == len(hosts)
            assert "reached" not in hidden
        assert not outside.processes()
        assert os.listdir(tmp_path / "vm") == ["log"]


def test_nothing_is_left_of_it_when_its_program_is_killed(tmp_path: Path) -> None:
    require_slirp()
    (tmp_path / "vm").mkdir()
    with outside_network(tmp_path) as outside:
        with held(outside, tmp_path / "vm") as (program, *others):
            with contextlib.ExitStack() as stack:
                watched = [
                    stack.enter_context(opened(os.pidfd_open(pid))) for pid in others
                ]
                os.kill(program, signal.SIGKILL)
                for pidfd in watched:
                    assert select.select([pidfd], [], [], PATIENCE)[0]


def test_one_that_does_not_serve_is_an_error_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    require_slirp()
    network = VmNetwork(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    with opened(os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)) as log:
        with open(log, "wb", closefd=False) as file:
            # No process has this pid (man 5 proc, pid_max).
            with pytest.raises(ChildProcessError, match="slirp4netns: status 1"):
                network.start(1 << 22, file)
    network.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_host_without_slirp4netns_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("kata_host.needed_programs.SYSTEM_DIRECTORIES", ())
    with pytest.raises(FileNotFoundError, match=r"\(package slirp4netns\)"):
        VmNetwork(tmp_path)
