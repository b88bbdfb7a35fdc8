# SPDX-License-Identifier: Apache-2.0
"""Values that are written once, and referred to by number."""

from __future__ import annotations

import json
from typing import Any


class SharedValues:
    """Values of JSON in the order in which they came first."""

    def __init__(self) -> None:
        self.size = 0
        """Characters of all values as JSON."""
        self._numbers: dict[str, int] = {}

    def number(self, value: Any) -> int:
        """Return the number of a value; the value is kept if it is new."""
        text = to_json(value)
        if text not in self._numbers:
            self._numbers[text] = len(self._numbers)
            self.size += len(text)
        return self._numbers[text]

    def to_json(self) -> str:
        return f"[{','.join(self._numbers)}]"


def to_json(value: Any) -> str:
    """Return JSON for an element `<script>`, where HTML looks for `</` and `<!--`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
