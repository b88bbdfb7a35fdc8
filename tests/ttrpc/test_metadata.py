# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import MutableMapping

import pytest

from ttrpc.metadata import Metadata


def test_keys_compare_in_lower_case() -> None:
    metadata = Metadata([("Key", "1"), ("kEY", "2")])
    assert metadata.get("KEY") == "1"
    assert metadata.get_all("key") == ["1", "2"]
    assert "KeY" in metadata


def test_a_missing_key_is_none_or_the_default() -> None:
    metadata = Metadata()
    assert metadata.get("key") is None
    assert metadata.get("key", "other") == "other"
    assert metadata.get_all("key") == []
    assert "key" not in metadata


def test_an_empty_value_is_there() -> None:
    assert "key" in Metadata({"key": ""})


def test_values_are_kept_in_the_order_sent() -> None:
    metadata = Metadata({"b": "1", "a": "2"})
    metadata.add("B", "3")
    assert metadata.pairs == [("b", "1"), ("a", "2"), ("b", "3")]


def test_setting_replaces_and_with_no_values_removes() -> None:
    metadata = Metadata([("a", "1"), ("b", "2"), ("a", "3")])
    metadata.set("A", "4", "5")
    assert metadata.pairs == [("b", "2"), ("a", "4"), ("a", "5")]
    metadata.set("a")
    assert metadata == Metadata({"b": "2"})


def test_a_copy_goes_its_own_way() -> None:
    metadata = Metadata({"a": "1"})
    copy = metadata.copy()
    assert copy == metadata
    copy.add("a", "2")
    assert copy != metadata
    assert metadata != [("a", "1")]
    metadata.pairs.append(("b", "3"))
    assert metadata.pairs == [("a", "1")]


def test_it_is_a_mapping_to_the_first_values() -> None:
    metadata = Metadata([("B", "1"), ("a", "2"), ("b", "3")])
    assert isinstance(metadata, MutableMapping)
    assert metadata["B"] == "1"
    assert dict(metadata) == {"b": "1", "a": "2"}
    assert metadata == {"b": "1", "a": "2"}
    assert list(metadata.items()) == [("b", "1"), ("a", "2")]
    assert len(metadata) == 2
    with pytest.raises(KeyError, match="^'missing'$"):
        metadata["Missing"]


def test_its_keys_can_be_set_and_removed() -> None:
    metadata = Metadata([("a", "1"), ("a", "2")])
    metadata["A"] = "3"
    metadata.update({"b": "4"})
    assert metadata.pairs == [("a", "3"), ("b", "4")]
    del metadata["B"]
    assert metadata.pop("a") == "3"
    assert not metadata
    with pytest.raises(KeyError, match="^'a'$"):
        del metadata["a"]


def test_values_are_not_shown() -> None:
    assert (
        repr(Metadata([("token", "secret"), ("a", "b")])) == "Metadata(['a', 'token'])"
    )
