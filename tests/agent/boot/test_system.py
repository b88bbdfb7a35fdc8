# SPDX-License-Identifier: Apache-2.0
"""The small duties of PID 1, in namespaces of their own."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from kata_agent.boot.system import (
    link_ptmx,
    raise_loopback,
    read_hostname,
    set_hostname,
    set_search_path,
    take_terminal,
)
from kata_agent.system_paths import SystemPaths
from tests.helpers.namespace import World, in_namespaces


def status_of(program: str) -> int:
    pid = os.posix_spawnp(program, [program], {})
    return os.waitpid(pid, 0)[1]


def test_ptmx_is_that_of_the_mounted_devpts(tmp_path: Path) -> None:
    paths = SystemPaths(dev=tmp_path)
    (tmp_path / "ptmx").write_text("the kernel's")
    link_ptmx(paths)
    assert os.readlink(tmp_path / "ptmx") == "pts/ptmx"
    link_ptmx(paths)
    assert os.readlink(tmp_path / "ptmx") == "pts/ptmx"


@pytest.mark.parametrize(
    ("text", "name"),
    [("guest\n", "guest"), ("# comment\n\n  g1 \nx\n", "g1"), ("", ""), ("#x", "")],
)
def test_the_hostname_in_a_file(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "hostname").write_text(text)
    assert read_hostname(tmp_path / "hostname") == name


def test_no_hostname(tmp_path: Path) -> None:
    assert read_hostname(tmp_path / "hostname") == ""


@in_namespaces("v2")
async def test_the_hostname_is_set(world: World, tmp_path: Path) -> None:
    before = socket.gethostname()
    set_hostname(SystemPaths(etc=tmp_path))
    assert socket.gethostname() == before
    (tmp_path / "hostname").write_text("microvm\n")
    set_hostname(SystemPaths(etc=tmp_path))
    assert socket.gethostname() == "microvm"


@in_namespaces("v2")
async def test_the_loopback_is_raised(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with pytest.raises(OSError, match="unreachable"):
            socket.create_connection(address)
        raise_loopback()
        socket.create_connection(address).close()


@in_namespaces("v2")
async def test_the_console_becomes_the_controlling_terminal(world: World) -> None:
    master, slave = os.openpty()
    os.dup2(slave, 0)
    take_terminal()
    # Only a process of the terminal's session may call tcgetpgrp.
    assert os.tcgetpgrp(0) == os.getsid(0) == os.getpid()
    # A second call finds that the test leads a session.
    take_terminal()
    os.close(master)


@in_namespaces("v2")
async def test_stdin_may_be_no_terminal(world: World) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    take_terminal()
    assert os.getsid(0) == os.getpid()


@in_namespaces("v2")
async def test_programs_are_found(world: World) -> None:
    del os.environ["PATH"]
    set_search_path()
    assert status_of("true") == 0
