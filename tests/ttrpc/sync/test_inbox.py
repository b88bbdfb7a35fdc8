# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from ttrpc.errors import StreamFull
from ttrpc.share import OVERHEAD
from ttrpc.sync.inbox import Inbox


def test_messages_come_out_in_order() -> None:
    inbox = Inbox()
    for payload in (b"a", b"", b"b"):
        inbox.put(payload)
    assert (len(inbox), inbox.size) == (3, 2 + 3 * OVERHEAD)
    assert [inbox.take() for _ in range(3)] == [b"a", b"", b"b"]
    assert (len(inbox), inbox.size) == (0, 0)
    assert inbox.take() is None


def test_the_error_comes_after_the_messages() -> None:
    inbox = Inbox()
    inbox.put(b"last")
    inbox.end(StreamFull("full"))
    inbox.end()
    assert inbox.ended
    assert inbox.take() == b"last"
    with pytest.raises(StreamFull, match="^full$"):
        inbox.take()


def test_an_end_without_an_error_is_no_error() -> None:
    inbox = Inbox()
    inbox.end()
    inbox.check()
    assert inbox.take() is None


def test_dropped_messages_do_not_count() -> None:
    inbox = Inbox()
    inbox.put(bytes(1000))
    inbox.clear()
    assert (len(inbox), inbox.size) == (0, 0)
