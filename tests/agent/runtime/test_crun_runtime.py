# SPDX-License-Identifier: Apache-2.0
"""The real crun, in namespaces of the test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.reaper import Reaper
from kata_agent.runtime.crun_runtime import CrunRuntime
from kata_agent.runtime.runtime import Runtime
from tests.helpers.domain import container_request, open_sandbox, run
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v1", "v2")
async def test_a_delete_of_an_unknown_container_is_fine(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with Reaper() as reaper:
        runtime = CrunRuntime("crun", reaper=reaper, state=Path("/run/crun"))
        await runtime.delete("c1")
        # A failure would be logged.
        assert not caplog.records


@in_namespaces("v1", "v2")
async def test_a_container_runs_to_its_end(world: World) -> None:
    async with open_sandbox(runtime="crun") as sandbox:
        assert await run(sandbox, "c1", "echo", "out") == (0, b"out\n")


@in_namespaces("v1", "v2")
async def test_a_killed_call_leaves_no_mount_even_where_crun_copies_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CrunRuntime, "executable", Runtime.executable)
    async with open_sandbox(runtime="crun") as sandbox:
        await sandbox.create_container(container_request("c1", "true"))
        init = sandbox.container("c1").processes.find("").pid
        # Until the start, the init is crun itself.
        program = os.readlink(f"/proc/{init}/exe")
        assert program.startswith("/memfd:crun_cloned:")
