# SPDX-License-Identifier: Apache-2.0
"""Lines of passwd and group, also of a hostile image."""

from __future__ import annotations

import pytest

from kata_agent.oci.account import (
    GroupAccount,
    UserAccount,
    find_account,
    is_id,
    parse_groups,
    parse_users,
    to_id,
)

ALICE = UserAccount("alice", 1000, 100, "/home/alice")


def test_the_fields_of_a_user() -> None:
    line = b"alice:x:1000:100:Full Name,,:/home/alice:/bin/sh\n"
    assert list(parse_users(line)) == [ALICE]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"alice:x:1000",
        b"#alice:x:1000:100::/home/alice:",
        b"+alice:x:1000:100::/home/alice:",
        b":x:1000:100::/home/alice:",
        b"alice:x:one:100::/home/alice:",
        b"alice:x:-1:100::/home/alice:",
        b"alice:x:4294967295:100::/home/alice:",
        b"alice:x:1000:" + b"1" * 5000 + b"::/home/alice:",
        b"alice:x:" + b"1" * 5000 + b":100::/home/alice:",
        "alice:x:\u0661\u0660:100::/home/alice:".encode(),
    ],
)
def test_a_line_that_is_no_account_is_left_out(line: bytes) -> None:
    assert list(parse_users(line + b"\nbob:x:1:2:::\n")) == [
        UserAccount("bob", 1, 2, "/")
    ]


@pytest.mark.parametrize(
    "home", [b"", b"relative", b"/nul\0", b"/" + b"x" * 5000], ids=len
)
def test_a_home_that_is_no_path_is_the_root(home: bytes) -> None:
    (user,) = parse_users(b"alice:x:1:2::" + home + b":/bin/sh")
    assert user.home == "/"


@pytest.mark.parametrize("separator", ["\r", "\v", "\f", "\x1c", "\x85", "\u2028"])
def test_a_full_name_cannot_begin_another_line(separator: str) -> None:
    """Users choose their full name: man 1 chfn."""
    line = f"mallory:x:1000:1000:{separator}root2:x:0:0::/:/home:/bin/sh\n"
    assert [user.name for user in parse_users(line.encode())] == ["mallory"]


def test_the_members_of_a_group() -> None:
    (group,) = parse_groups(b"audio:x:63:bob,alice\nbad:x:sixty:alice\n")
    assert group == GroupAccount("audio", 63, "bob,alice")
    assert group.has_member("bob")
    assert group.has_member("alice")
    assert not group.has_member("ali")
    (group,) = parse_groups(b"empty:x:63:\n")
    assert not group.has_member("bob")


def test_a_line_of_many_fields_is_one_account() -> None:
    (user,) = parse_users(b"a:x:1:2::/home" + b":" * 100_000)
    assert user == UserAccount("a", 1, 2, "/home")


def test_a_name_comes_before_a_number() -> None:
    file = b"alice:x:12:1:::\n12:x:99:1:::\nbob:x:12:1:::\n"
    found = [find_account(parse_users, file, name) for name in ("12", "99", "alice")]
    assert [user.id for user in found if user] == [99, 99, 12]
    assert find_account(parse_users, file, "nobody") is None
    assert find_account(parse_users, file, "1" * 5000) is None


def test_ids() -> None:
    assert to_id("4294967294") == 4294967294
    assert to_id("4294967295") is None
    assert is_id(0)
    assert not is_id(-1)
