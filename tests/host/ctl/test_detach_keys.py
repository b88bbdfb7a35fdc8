# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.ctl.detach_keys import DetachKeys


def test_the_keys_are_found_wherever_they_are_split() -> None:
    for typed in ([b"ab\x10\x11c"], [b"ab\x10", b"\x11c"], [b"a", b"b\x10\x11"]):
        keys = DetachKeys()
        assert b"".join(map(keys.take, typed)) == b"ab"
        assert keys.are_complete


def test_other_keys_go_on() -> None:
    keys = DetachKeys()
    assert keys.take(b"a\x10") == b"a"
    assert keys.take(b"b\x11") == b"\x10b\x11"
    assert keys.take(b"\x10\x10") == b"\x10"
    assert not keys.are_complete
