# SPDX-License-Identifier: Apache-2.0
"""Steps that are kept until they are done."""

from __future__ import annotations

import pytest

from kata_agent.undo import Undo


def test_the_last_step_goes_first_and_each_goes_once() -> None:
    undo, log = Undo(), list[str]()
    for name in ("a", "b"):
        undo.callback(log.append, name)
    undo.close()
    undo.close()
    assert log == ["b", "a"]


def test_a_step_that_fails_stays_with_those_before_it() -> None:
    undo, log, busy = Undo(), list[str](), [True]

    def unmount() -> None:
        if busy:
            raise OSError("busy")
        log.append("unmounted")

    undo.callback(log.append, "removed")
    undo.callback(unmount)
    undo.callback(log.append, "closed")
    with pytest.raises(OSError, match="busy"):
        undo.close()
    assert log == ["closed"]
    busy.clear()
    undo.close()
    assert log == ["closed", "unmounted", "removed"]
