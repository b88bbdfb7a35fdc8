# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_agent.metrics.family import Family, items, merged


def test_items_differ_in_one_label() -> None:
    family = items("n", "help", {"a": 1, "b": 2}, disk="sda")
    assert family == Family(
        "n",
        "help",
        [({"disk": "sda", "item": "a"}, 1), ({"disk": "sda", "item": "b"}, 2)],
    )


def test_families_of_one_name_are_merged_in_their_order() -> None:
    first = Family("n", "help", [({"disk": "a"}, 1)], kind="unknown")
    second = Family("n", "help", [({"disk": "b"}, 2)], kind="unknown")
    whole = merged([first, second])
    assert whole.samples == [({"disk": "a"}, 1), ({"disk": "b"}, 2)]
    assert (whole.name, whole.help, whole.kind) == ("n", "help", "unknown")
