# SPDX-License-Identifier: Apache-2.0
"""Users and groups of an image, also of a hostile one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.oci.container_root import ContainerRoot
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


def apply(image: Path, user: Spec | None = None, **wanted: object) -> Spec:
    """Apply names to a process of uid 5 and gid 6; return its user."""
    process: Spec = {"user": user or {"uid": 5, "gid": 6}, "env": ["HOME=/x"]}
    names = agent_pb2.StringUser(**wanted)  # type: ignore[arg-type]  # of any kind
    apply_user(process, names, ContainerRoot(str(image)))
    assert process["env"] == ["HOME=/x"]
    user_part: Spec = process["user"]
    return user_part


def home_of(image: Path, number: int, **wanted: object) -> str:
    process: Spec = {"user": {"uid": number, "gid": 0}, "env": ["A=b"]}
    names = agent_pb2.StringUser(**wanted)  # type: ignore[arg-type]  # of any kind
    apply_user(process, names, ContainerRoot(str(image)))
    assert process["env"][0] == "A=b"
    name, _, value = process["env"][1].partition("=")
    assert name == "HOME"
    return str(value)


def test_ids_stay_when_nothing_is_said(tmp_path: Path) -> None:
    assert apply(tmp_path) == {"uid": 5, "gid": 6}


def test_names(image: Path) -> None:
    assert apply(image, uid="name") == {"uid": 12, "gid": 34, "additionalGids": [50]}
    assert apply(image, uid="name", gid="staff")["gid"] == 50
    assert apply(image, gid="staff", additionalGids=["staff", "7"]) == {
        "uid": 5,
        "gid": 50,
        "additionalGids": [50, 7],
    }
    assert apply(image, {"uid": 5, "gid": 6, "username": "name"})["uid"] == 12


def test_the_groups_of_the_host_stay_beside_those_of_a_name(image: Path) -> None:
    """kata-containers#1500: fsGroup and supplementalGroups are asked for by number."""
    asked: Spec = {"uid": 5, "gid": 6, "additionalGids": [777, 50]}
    assert apply(image, dict(asked), uid="name")["additionalGids"] == [777, 50]
    asked = {"uid": 5, "gid": 6, "additionalGids": [777], "username": "name"}
    assert apply(image, dict(asked))["additionalGids"] == [777, 50]
    assert apply(image, dict(asked), additionalGids=["9"])["additionalGids"] == [777, 9]


def test_a_name_of_digits_is_a_name_first(image: Path) -> None:
    assert apply(image, uid="12")["uid"] == 99


def test_numbers_need_no_entry(image: Path) -> None:
    assert apply(image, uid="4242") == {"uid": 4242, "gid": 6}


@pytest.mark.parametrize(
    "name", ["nope", "-1", "4294967295", "1 ", "9" * 5000, "\u0663"]
)
def test_unknown_names(image: Path, name: str) -> None:
    with pytest.raises(InvalidArgument, match="not in the container's image"):
        apply(image, uid=name)
    with pytest.raises(InvalidArgument, match="not in the container's image"):
        apply(image, gid=name)


@pytest.mark.parametrize(
    "part", [{"uid": 4294967295}, {"gid": 4294967295}, {"additionalGids": [4294967295]}]
)
def test_the_number_that_the_kernel_takes_for_unchanged_is_refused(
    image: Path, part: Spec
) -> None:
    """setuid(-1) would leave the process root."""
    with pytest.raises(InvalidArgument, match="id 4294967295: not an id"):
        apply(image, {"uid": 5, "gid": 6, **part})


def test_home_is_that_of_the_account(image: Path) -> None:
    assert home_of(image, 12) == "/home"
    # By name, if two accounts have one number.
    with (image / "etc/passwd").open("a") as file:
        file.write("twin:x:12:34::/twin:/bin/sh\n")
    assert home_of(image, 0, uid="twin") == "/twin"
    assert home_of(image, 0, uid="name") == "/home"


def test_home_is_the_root_for_an_unknown_user(image: Path) -> None:
    assert home_of(image, 4242) == "/"
    assert home_of(image, 99) == "/"
    (image / "etc/passwd").unlink()
    assert home_of(image, 12) == "/"


def test_a_number_needs_no_account_file(
    image: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (image / "etc/passwd").unlink()
    os.mkfifo(image / "etc/passwd")
    assert home_of(image, 12) == "/"
    assert "no home directory" in caplog.text
    with pytest.raises(InvalidArgument, match="'/etc/passwd': not a regular file"):
        apply(image, uid="root")
