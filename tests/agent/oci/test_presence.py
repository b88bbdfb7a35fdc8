# SPDX-License-Identifier: Apache-2.0
"""Which fields of a message make a field of the JSON."""

from __future__ import annotations

from kata_agent.oci.presence import only_set, only_set_or_none, without_none


def test_zero_and_empty_fields_are_not_set() -> None:
    assert only_set(a=0, b="", c=[], d=False, e=-1, f="x") == {"e": -1, "f": "x"}
    assert only_set(a=0) == {}
    assert only_set_or_none(a=0) is None
    assert only_set_or_none(a=1) == {"a": 1}


def test_only_none_is_left_out_where_zero_has_a_meaning() -> None:
    assert without_none({"a": 0, "b": None, "c": ""}) == {"a": 0, "c": ""}
