# SPDX-License-Identifier: Apache-2.0
"""The shared parts of a sandbox, set up and taken down."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.options.config import Config
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.runtime.registry import to_runtime
from kata_agent.sandbox.guest import Guest
from kata_agent.sandbox.sandbox_setup import SandboxSetup
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2
from tests.helpers.domain import NoDevices, NoStorages
from tests.helpers.namespace import World, in_namespaces


class Storages(NoStorages):
    """Counts the calls that a setup makes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def add(self, messages: object, container_id: str | None) -> list[str]:
        assert container_id is None
        self.calls.append("add")
        return []

    async def remove_all(self) -> None:
        self.calls.append("remove_all")


def to_guest(reaper: Reaper, storages: Storages) -> Guest:
    paths = SystemPaths()
    runtime = to_runtime("crun", reaper=reaper, state=paths.runtime)
    return Guest(Config(), paths, reaper, runtime, storages, NoDevices(), Reserve())


def pinned() -> list[str]:
    return sorted(path.name for path in SystemPaths().namespaces.glob("*"))


def write_hook(directory: Path) -> None:
    hook = directory / "prestart" / "hook"
    hook.parent.mkdir(parents=True)
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)


@in_namespaces("v2")
async def test_everything_is_set_up_and_taken_down(world: World) -> None:
    write_hook(Path("/run/hooks"))
    own = Path("/etc/resolv.conf").read_text()
    with Reaper() as reaper:
        storages = Storages()
        setup = SandboxSetup(to_guest(reaper, storages))
        await setup.set_up(
            agent_pb2.CreateSandboxRequest(
                hostname="pod",
                dns=["nameserver 192.0.2.1"],
                sandbox_pidns=True,
                guest_hook_path="/run/hooks",
            )
        )
        assert setup.shares_pid
        assert [hook["path"] for hook in setup.guest_hooks["prestart"]] == [
            "/run/hooks/prestart/hook"
        ]
        assert pinned() == ["ipc", "pid", "uts"]
        assert Path("/etc/resolv.conf").read_text() == "nameserver 192.0.2.1\n"
        await setup.take_down()
        assert not setup.shares_pid
        assert setup.guest_hooks == {}
        assert pinned() == []
        assert Path("/etc/resolv.conf").read_text() == own
        assert storages.calls == ["add", "remove_all"]


@in_namespaces("v2")
async def test_a_step_that_fails_undoes_those_before_it(world: World) -> None:
    with Reaper() as reaper:
        storages = Storages()
        setup = SandboxSetup(to_guest(reaper, storages))
        request = agent_pb2.CreateSandboxRequest(sandbox_pidns=True)
        request.kernel_modules.add(name="-r")
        with pytest.raises(InvalidArgument, match="kernel module '-r'"):
            await setup.set_up(request)
        assert not setup.shares_pid
        assert pinned() == []
        assert storages.calls == ["remove_all"]


@in_namespaces("v2")
async def test_hooks_that_cannot_be_read_are_a_warning(world: World) -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]  # instead of a subclass
    logging.getLogger("kata_agent.sandbox.sandbox_setup").addHandler(handler)
    Path("/run/file").touch()
    with Reaper() as reaper:
        setup = SandboxSetup(to_guest(reaper, Storages()))
        await setup.set_up(agent_pb2.CreateSandboxRequest(guest_hook_path="/run/file"))
        assert setup.guest_hooks == {}
        await setup.take_down()
    (record,) = records
    assert record.getMessage() == "guest hooks not read"
    assert "Not a directory" in vars(record)["error"]
