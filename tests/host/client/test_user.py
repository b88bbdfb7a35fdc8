# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.client.user import parse_user


def test_a_user_may_have_a_group() -> None:
    assert parse_user("65534").uid == "65534"
    named = parse_user("nobody:tty")
    assert (named.uid, named.gid) == ("nobody", "tty")


@pytest.mark.parametrize("text", ["", ":", "a:", ":b", "a:b:c"])
def test_no_user(text: str) -> None:
    with pytest.raises(ValueError, match="^user "):
        parse_user(text)
