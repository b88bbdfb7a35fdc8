# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from ttrpc.codes import Code, to_code


def test_a_known_number_is_a_code() -> None:
    assert to_code(5) is Code.NOT_FOUND


def test_a_number_without_a_code_stays_an_int() -> None:
    assert to_code(99) == 99
    assert not isinstance(to_code(99), Code)
    assert to_code(-1) == -1
