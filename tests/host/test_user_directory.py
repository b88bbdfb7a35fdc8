# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_host import user_directory as module
from kata_host.user_directory import user_directory

VARIABLE = "XDG_CACHE_HOME"


@pytest.fixture(autouse=True)
def _homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(module, "HOMELESS", tmp_path)
    monkeypatch.setenv("HOME", "/no/such")


def test_the_variable_counts_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/a")
    assert user_directory(VARIABLE, ".cache") == Path("/a/kata-agent")


def test_the_home_counts_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "relative, so invalid")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_directory(VARIABLE, ".cache") == tmp_path / ".cache/kata-agent"


def test_a_user_without_a_home_has_a_directory_alone(tmp_path: Path) -> None:
    for _ in range(2):
        found = user_directory(VARIABLE, ".cache")
        assert found == tmp_path / f"kata-agent-{os.geteuid()}"
        assert found.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["shared", "link", "file"])
def test_one_that_somebody_else_may_have_made_is_refused(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"kata-agent-{os.geteuid()}"
    if kind == "shared":
        path.mkdir()
        path.chmod(0o777)
    elif kind == "link":
        path.symlink_to(tmp_path)
    else:
        path.touch()
    with pytest.raises(OSError, match=r"kata-agent-\d+"):
        user_directory(VARIABLE, ".cache")
