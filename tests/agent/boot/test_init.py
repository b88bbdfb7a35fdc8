# SPDX-License-Identifier: Apache-2.0
"""The work of PID 1, in namespaces where the test is PID 1."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

from kata_agent.boot.init import is_init, prepare_system
from kata_agent.options.config import Config
from kata_agent.options.load import LOCAL_SOCKET
from kata_agent.system_paths import SystemPaths
from tests.helpers.namespace import World, in_namespaces


def test_a_process_that_is_not_pid_1_is_no_init() -> None:
    assert not is_init()


@in_namespaces("v2")
async def test_pid_1_is_an_init_except_in_a_local_guest(world: World) -> None:
    assert is_init()
    os.environ[LOCAL_SOCKET] = "/run/guest.sock"
    assert not is_init()


def tree(directory: Path) -> SystemPaths:
    """Return a /dev and an /etc for the test, which has the machine's files."""
    (directory / "etc").mkdir()
    (directory / "etc" / "hostname").write_text("microvm\n")
    return SystemPaths(dev=directory / "dev", etc=directory / "etc")


def release_stdin() -> None:
    """Replace stdin, so that PID 1 does not take the machine's terminal."""
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)


@in_namespaces("v1", "v2")
async def test_the_system_is_prepared(world: World, tmp_path: Path) -> None:
    release_stdin()
    paths = tree(tmp_path)
    paths.dev.mkdir()
    del os.environ["PATH"]
    prepare_system(paths, Config(unified_cgroup_hierarchy=world.version == "v2"))
    assert os.readlink(paths.dev / "ptmx") == "pts/ptmx"
    assert socket.gethostname() == "microvm"
    assert "/bin" in os.environ["PATH"].split(":")
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


@in_namespaces("v2")
async def test_a_step_that_fails_is_logged_and_stops_no_other(
    world: World, tmp_path: Path
) -> None:
    release_stdin()
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]  # instead of a subclass
    logging.getLogger("kata_agent.boot.init").addHandler(handler)
    # The link fails, because there is no /dev for it.
    prepare_system(tree(tmp_path), Config(unified_cgroup_hierarchy=True))
    (record,) = records
    assert record.getMessage() == "boot step failed"
    assert str(tmp_path / "dev") in vars(record)["error"]
    assert socket.gethostname() == "microvm"
