# SPDX-License-Identifier: Apache-2.0
"""The paths of the agent, all below the roots that a test may move."""

from __future__ import annotations

from pathlib import Path

from kata_agent.system_paths import SystemPaths


def test_the_paths_that_runtimes_and_images_rely_on() -> None:
    paths = SystemPaths()
    assert paths.shared == Path("/run/kata-containers/shared/containers")
    assert paths.namespaces == Path("/run/sandbox-ns")
    assert paths.cgroup == Path("/sys/fs/cgroup")


def test_every_path_follows_its_root(tmp_path: Path) -> None:
    paths = SystemPaths(run=tmp_path / "run", sys=tmp_path / "sys")
    for path in (paths.sandbox, paths.shared, paths.runtime, paths.namespaces):
        assert path.is_relative_to(tmp_path / "run")
    assert paths.cgroup.is_relative_to(tmp_path / "sys")
