# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from kata_agent.cgroup.open import to_path
from kata_agent.errors import InvalidArgument


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", "/c1"),
        ("/a/b", "/a/b"),
        ("a/b", "/a/b"),
        ("//a", "/a"),
        ("system.slice:kata:c1", "/system.slice/kata/c1"),
        (":kata:c1", "/kata/c1"),
    ],
)
def test_forms(given: str, path: str) -> None:
    assert to_path(given, "c1") == PurePosixPath(path)


@pytest.mark.parametrize("given", ["..", "/a/../b", "a:..:b", "/", ":", ".", "a\0b"])
def test_paths_that_leave_the_hierarchy_or_are_its_root(given: str) -> None:
    if given in ("/", ":"):
        # Nothing but separators is nothing: the container's own.
        assert to_path(given, "c1") == PurePosixPath("/c1")
        return
    with pytest.raises(InvalidArgument, match="invalid cgroups path"):
        to_path(given, "c1")
