# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from kata_host import Limits
from kata_host.sdk.container_request import ContainerRequest, container_request
from kata_host.sdk.roots import OWN, Root


def request(*args: str, **options: Any) -> ContainerRequest:
    given = {"env": None, "cwd": None, "user": None, "limits": Limits(), **options}
    return container_request("c1", args or ["true"], Root(("/low",)), **given)


def test_all_that_is_asked_for_is_in_the_messages() -> None:
    made = request("a", "b", env={"A": "1"}, cwd="/w", user=5, limits=Limits(pids=9))
    process = made.spec.Process
    assert (list(process.Args), process.Cwd, process.User.UID) == (["a", "b"], "/w", 5)
    assert "A=1" in process.Env
    assert made.spec.Linux.Resources.Pids.Limit == 9
    assert made.storages[0].mount_point == made.root == made.spec.Root.Path
    assert "lowerdir=/low" in made.storages[0].options


def test_a_file_is_below_the_working_directory_or_absolute() -> None:
    made = request(cwd="/w")
    assert made.path_of("a/b") == f"{made.root}/w/a/b"
    assert made.path_of("./b") == f"{made.root}/w/b"
    assert made.path_of("/etc/b") == f"{made.root}/etc/b"
    assert made.path_of("/device") == f"{made.root}/device"


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ("../b", "has a part"),
        ("/a/../../b", "has a part"),
        ("", "not a path"),
        ("a/", "not a path"),
        ("a\0b", "not a path"),
        ("/dev/shm/x", "hidden by /dev"),
        ("/proc", "hidden by /proc"),
    ],
)
def test_a_file_that_no_command_would_see_there_is_an_error(
    file: str, fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        request().path_of(file)


@pytest.mark.parametrize(
    ("args", "cwd"), [("ls -l", None), ([], None), (["ls"], "tmp"), (["ls"], "")]
)
def test_a_wrong_command_is_an_error(args: Any, cwd: str | None) -> None:
    with pytest.raises(ValueError, match="command|cwd"):
        container_request(
            "c1", args, OWN, env=None, cwd=cwd, user=None, limits=Limits()
        )


def test_what_is_left_out_is_as_the_image_has_it() -> None:
    base = Root(("/high", "/low"), {"A": "1", "B": "2"}, "/srv", "7:8")
    given: dict[str, Any] = {"env": {"B": "3"}, "cwd": None, "limits": Limits()}
    made = container_request("c1", ["x"], base, user=None, **given)
    process = made.spec.Process
    assert {"A=1", "B=3"} <= {*process.Env}
    assert (process.Cwd, process.User.UID, process.User.GID) == ("/srv", 7, 8)
    assert "lowerdir=/high:/low" in made.storages[0].options
    made = container_request("c1", ["x"], base, user=0, **{**given, "cwd": "/"})
    assert (made.spec.Process.Cwd, made.spec.Process.User.UID) == ("/", 0)


def test_a_user_of_the_image_with_a_name_has_its_groups_there() -> None:
    base = Root(("/low",), user="app:staff")
    made = container_request(
        "c1", ["x"], base, env=None, cwd=None, user=None, limits=Limits()
    )
    assert made.spec.Process.User.Username == "app"
