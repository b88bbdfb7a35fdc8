# SPDX-License-Identifier: Apache-2.0
"""Every line of the check list, 1 to 45, has a test with its number."""

from __future__ import annotations

import re
from pathlib import Path


def test_every_number_has_a_test() -> None:
    numbers = {
        int(number)
        for path in Path(__file__).parent.glob("test_*.py")
        for number in re.findall(
            r"^(?:async )?def test_(\d\d)_", path.read_text(), re.M
        )
    }
    assert numbers == set(range(1, 46))
