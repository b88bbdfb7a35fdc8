# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.trace.fitting import fitting

TREE = "a  2 µs  ━━\n├─ b\n│  └─ c…\n"


def test_a_tree_is_drawn_with_what_the_encoding_has() -> None:
    assert fitting(TREE, "utf-8") == TREE
    for encoding in ("ascii", "latin-1", None):
        assert fitting(TREE, encoding) == "a  2 us  ==\n|- b\n|  `- c~\n"
