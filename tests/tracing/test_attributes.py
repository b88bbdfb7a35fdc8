# SPDX-License-Identifier: Apache-2.0
import pytest

from kata_tracing.attributes import MAX_TEXT, Attribute, bound, bound_all


def test_long_text_is_cut() -> None:
    assert bound("x" * 5000) == "x" * MAX_TEXT


def test_text_becomes_valid_utf_8() -> None:
    """A file name may hold any bytes, which Python shows as surrogates."""
    found = bound("/\udcff/é")
    assert found == "/?/é"


@pytest.mark.parametrize("value", [True, -1, 0.5, ("a", "b"), "", "plain", "é" * 10])
def test_other_values_stay(value: Attribute) -> None:
    assert bound(value) == value


def test_a_whole_mapping_is_bounded_in_place() -> None:
    attributes: dict[str, Attribute] = {"a": "x" * 5000, "b": "\udc80", "c": 7}
    assert bound_all(attributes) is attributes
    assert attributes == {"a": "x" * MAX_TEXT, "b": "?", "c": 7}
