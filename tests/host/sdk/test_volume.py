# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.errors import NotFound
from kata_host.sdk.volume import Volumes, to_mounts


def test_a_volume_is_bound_where_it_is_and_may_be_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    volumes: Volumes = {"/a": tmp_path, "/b": ".", "/c": f"{tmp_path}:ro"}
    mounts = to_mounts(volumes, sees_host=True)
    assert [(it.destination, it.source, it.options[-1]) for it in mounts] == [
        ("/a", str(tmp_path), "rw"),
        ("/b", str(tmp_path), "rw"),
        ("/c", str(tmp_path), "ro"),
    ]


@pytest.mark.parametrize(
    ("target", "source", "fault"),
    [
        ("a", ".", "not an absolute path"),
        ("/a/../b", ".", "not an absolute path"),
        ("/a", "/proc/self", "has its own proc"),
    ],
)
def test_a_volume_that_cannot_be_is_an_error(
    target: str, source: str, fault: str
) -> None:
    with pytest.raises(ValueError, match=f"volume '{target}': .*{fault}"):
        to_mounts({target: source}, sees_host=True)


def test_a_folder_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="volume '/a': no such file or directory: /no"):
        to_mounts({"/a": "/no"}, sees_host=True)


def test_a_guest_that_shares_no_folders_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only a local guest shares"):
        to_mounts({"/a": tmp_path}, sees_host=False)
