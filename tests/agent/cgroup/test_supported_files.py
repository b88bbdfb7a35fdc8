# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

from kata_agent.cgroup.supported_files import SupportedFiles
from tests.helpers.namespace import World, in_namespaces

ROOT = Path("/sys/fs/cgroup")


@in_namespaces("v1", "v2")
async def test_the_files_of_a_new_cgroup_are_known(world: World) -> None:
    before = [directory for directory, _, _ in os.walk(ROOT)]
    files = SupportedFiles(ROOT)
    assert files.unified == (world.version == "v2")
    if files.unified:
        assert files.has("cgroup.procs")
    else:
        assert files.has("memory/memory.limit_in_bytes")
        assert not files.has("memory/pids.max")
    assert not files.has("nosuch/nosuch.file")
    assert not files.has("no.such.file")
    assert [directory for directory, _, _ in os.walk(ROOT)] == before


def test_controllers_are_enabled_before_the_look(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    control = tmp_path / "cgroup.subtree_control"
    control.touch()
    assert not SupportedFiles(tmp_path).has("memory.max")
    assert control.read_text() == "+memory"
