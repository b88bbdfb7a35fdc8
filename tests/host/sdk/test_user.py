# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.sdk.user import User, to_user
from kata_protos import oci_pb2


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (0, oci_pb2.User()),
        (65534, oci_pb2.User(UID=65534, GID=65534)),
        ((1000, 5), oci_pb2.User(UID=1000, GID=5)),
        ("1000", oci_pb2.User(UID=1000, GID=1000)),
        ("1000:0", oci_pb2.User(UID=1000)),
        ("nobody", oci_pb2.User(Username="nobody")),
    ],
)
def test_a_user_is_named_in_several_ways(user: User, message: oci_pb2.User) -> None:
    assert to_user(user) == message


@pytest.mark.parametrize(
    "user", [-1, 2**32 - 1, (0, -1), "", "a:b", "1:b", "4294967295"]
)
def test_another_user_is_an_error(user: User) -> None:
    with pytest.raises(ValueError, match="user "):
        to_user(user)
