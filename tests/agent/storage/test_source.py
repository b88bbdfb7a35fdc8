# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.storage.source import open_source
from kata_agent.system_paths import SystemPaths


@pytest.fixture
def paths(tmp_path: Path) -> SystemPaths:
    (tmp_path / "run/kata-containers").mkdir(parents=True)
    return SystemPaths(run=tmp_path / "run")


def test_a_source_may_be_anywhere(paths: SystemPaths, tmp_path: Path) -> None:
    (paths.sandbox / "a").mkdir()
    for source in (paths.sandbox / "a", tmp_path):
        descriptor = open_source(paths, str(source))
        assert os.fstat(descriptor).st_ino == source.stat().st_ino
        os.close(descriptor)


def test_a_source_in_the_sandbox_is_confined_to_it(
    paths: SystemPaths, tmp_path: Path
) -> None:
    (paths.sandbox / "link").symlink_to(tmp_path)
    with pytest.raises(InvalidArgument, match="leads out of"):
        open_source(paths, f"{paths.sandbox}/link")
    with pytest.raises(InvalidArgument, match="leads out of"):
        open_source(paths, f"/./{paths.sandbox}//link")


def test_a_missing_source_is_named(paths: SystemPaths) -> None:
    with pytest.raises(NotFound, match="source '/nowhere': no such file"):
        open_source(paths, "/nowhere")
    with pytest.raises(NotFound, match="/none': no such file"):
        open_source(paths, f"{paths.sandbox}/none")


@pytest.mark.parametrize("text", ["", "a", "/a/../b", "/a\0b"])
def test_a_source_is_an_absolute_path(paths: SystemPaths, text: str) -> None:
    with pytest.raises(InvalidArgument, match="not an absolute path"):
        open_source(paths, text)
