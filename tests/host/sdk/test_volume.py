# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.client.volume import Volume
from kata_host.errors import NotFound
from kata_host.sdk.volume import Volumes, to_volumes


def test_a_volume_is_bound_where_it_is_and_may_be_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    volumes: Volumes = {"/a": tmp_path, "/b": ".", "/c": f"{tmp_path}:ro"}
    assert to_volumes(volumes, sees_host=True) == [
        Volume(str(tmp_path), "/a"),
        Volume(str(tmp_path), "/b"),
        Volume(str(tmp_path), "/c", read_only=True),
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
        to_volumes({target: source}, sees_host=True)


def test_a_folder_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound, match="volume '/a': no such file or directory: /no"):
        to_volumes({"/a": "/no"}, sees_host=True)


def test_a_vm_has_what_a_local_guest_hides() -> None:
    assert to_volumes({"/a": "/dev"}, sees_host=False) == [Volume("/dev", "/a")]
