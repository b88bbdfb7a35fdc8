# SPDX-License-Identifier: Apache-2.0
"""Core files of `agent.devmode`."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from kata_agent.boot.core_dumps import enable_core_dumps
from kata_agent.system_paths import SystemPaths
from tests.helpers.namespace import World, in_namespaces


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("core\n", "/run/core.%e.%p"),
        ("|/usr/bin/collect %p\n", "|/usr/bin/collect %p\n"),
    ],
)
@in_namespaces("v2")
async def test_limit_and_pattern(
    world: World, tmp_path: Path, before: str, after: str
) -> None:
    pattern = tmp_path / "sys/kernel/core_pattern"
    pattern.parent.mkdir(parents=True)
    pattern.write_text(before)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.RLIM_INFINITY))
    enable_core_dumps(SystemPaths(proc=tmp_path))
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    assert resource.getrlimit(resource.RLIMIT_CORE) == unlimited
    assert pattern.read_text() == after
