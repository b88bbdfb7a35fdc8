# SPDX-License-Identifier: Apache-2.0
"""Users and groups of an image, also of a hostile one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.oci.spec import Spec
from kata_agent.oci.user import apply_user
from kata_protos import agent_pb2


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(
        "# a comment\nbroken:x\nname:x:12:34:Full Name:/home:/bin/sh\n12:x:99:99:::\n"
    )
    (tmp_path / "etc/group").write_text("staff:x:50:other,name\nbad:x:fifty:name\n")
    return tmp_path


def apply(image: Path, **wanted: object) -> Spec:
    process: Spec = {"user": {"uid": 5, "gid": 6}}
    user = agent_pb2.StringUser(**wanted)  # type: ignore[arg-type]  # of any kind
    apply_user(process, user, str(image))
    user_part: Spec = process["user"]
    return user_part


def test_numbers_stay_when_nothing_is_said(tmp_path: Path) -> None:
    assert apply(tmp_path) == {"uid": 5, "gid": 6}


def test_names(image: Path) -> None:
    assert apply(image, uid="name") == {"uid": 12, "gid": 34, "additionalGids": [50]}
    assert apply(image, uid="name", gid="staff")["gid"] == 50
    assert apply(image, gid="staff", additionalGids=["staff", "7"]) == {
        "uid": 5,
        "gid": 50,
        "additionalGids": [50, 7],
    }


def test_a_name_of_digits_is_a_name_first(image: Path) -> None:
    assert apply(image, uid="12")["uid"] == 99


def test_numbers_need_no_entry(image: Path) -> None:
    assert apply(image, uid="4242") == {"uid": 4242, "gid": 6}


@pytest.mark.parametrize("name", ["nope", "-1", "4294967295", "1 "])
def test_unknown_names(image: Path, name: str) -> None:
    with pytest.raises(InvalidArgument, match="not in the container's image"):
        apply(image, uid=name)


def test_an_image_cannot_have_other_files_read(image: Path) -> None:
    (image / "etc/passwd").unlink()
    (image / "etc/passwd").symlink_to("/etc/passwd")
    # Inside of the image, the link leads to itself.
    with pytest.raises(InvalidArgument, match="'/etc/passwd': not read"):
        apply(image, uid="root")
    (image / "etc/passwd").unlink()
    (image / "etc/passwd").symlink_to("../../../../../../../../etc/passwd")
    with pytest.raises(InvalidArgument):
        apply(image, uid="root")


def test_an_image_cannot_make_the_agent_wait(image: Path) -> None:
    (image / "etc/passwd").unlink()
    os.mkfifo(image / "etc/passwd")
    with pytest.raises(InvalidArgument, match="'/etc/passwd': not a regular file"):
        apply(image, uid="root")
