# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

from kata_host.trace.page.shared_values import SharedValues, to_json


def test_a_value_is_kept_once() -> None:
    shared = SharedValues()
    values = ["a", {"b": "1"}, "a", {"b": "1"}, "c", "c"]
    assert [shared.number(value) for value in values] == [0, 1, 0, 1, 2, 2]
    assert json.loads(shared.to_json()) == ["a", {"b": "1"}, "c"]
    assert shared.size == len('"a"{"b":"1"}"c"')


def test_no_markup_is_in_the_json() -> None:
    text = to_json(["</script><!--"])
    assert "<" not in text
    assert json.loads(text) == ["</script><!--"]
