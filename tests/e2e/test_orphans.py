# SPDX-License-Identifier: Apache-2.0
"""What the debug console's shells leave behind (`bench/orphans.py`: the durations)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.orphans import CONSOLE_PORT
from bench.stage import agent_pid, children_of
from kata_host.guest.local_cgroup import hierarchies
from kata_host.guest.local_guest import LocalGuest

PATIENCE = 20.0


def require_version_1() -> None:
    try:
        hierarchies("v1")
    except ValueError as error:
        pytest.skip(str(error))


def cpu_cgroup(pid: int) -> str:
    """Return a process's cgroup of the CPU controller, as the host has it."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            return path
    raise AssertionError(f"process {pid} is in no cgroup of the CPU controller")


@contextlib.contextmanager
def console_of(guest: LocalGuest) -> Iterator[socket.socket]:
    """Connect to the debug console, as a program on the host does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(os.fspath(guest.socket))
        connection.sendall(b"CONNECT %d\n" % CONSOLE_PORT)
        assert connection.recv(64).startswith(b"OK ")
        yield connection


async def test_orphans_of_a_console_share_a_cgroup_that_goes_with_the_last_of_them(
    tmp_path: Path,
) -> None:
    require_version_1()
    parameters = [f"agent.debug_console_vport={CONSOLE_PORT}"]
    os.mkfifo(tmp_path / "ready")
    with LocalGuest(parameters=parameters, cgroup="v1") as guest:
        agent = agent_pid(guest)
        own = cpu_cgroup(agent)
        shells = Path("/sys/fs/cgroup/cpu" + own, "kata-agent-shells")
        async with asyncio.timeout(PATIENCE):
            while not Path(f"{guest.socket}.d", str(CONSOLE_PORT)).exists():
                assert guest.ending() is None
                await asyncio.sleep(0.01)
            with console_of(guest) as console:
                # Of a session of its own, so that it outlives the shell.
                script = f"(setsid sleep 1000 &); echo > {tmp_path}/ready\n"
                console.sendall(script.encode())
                await asyncio.to_thread((tmp_path / "ready").read_bytes)
                assert shells.exists()
            while len(children_of(agent)) != 1:
                assert guest.ending() is None
                await asyncio.sleep(0.01)
            (orphan,) = map(int, children_of(agent))
            assert cpu_cgroup(orphan) == f"{own}/{shells.name}"
            assert cpu_cgroup(agent) == own
            os.kill(orphan, signal.SIGKILL)
            while shells.exists():
                assert guest.ending() is None
                await asyncio.sleep(0.01)
