# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.cgroup.files import (
    UNLIMITED,
    read_flat_keyed,
    read_nested_keyed,
    read_number,
    write,
)


def test_numbers_and_keys_are_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for text, number in (("5\n", 5), ("max\n", UNLIMITED), ("-1\n", UNLIMITED)):
        file.write_text(text)
        assert read_number(file) == number
    file.write_text("a 1\nb max\n")
    assert read_flat_keyed(file) == {"a": 1, "b": UNLIMITED}
    file.write_text("8:0 rbytes=1 wbytes=2\n7:1 \n")
    assert read_nested_keyed(file) == {"8:0": {"rbytes": 1, "wbytes": 2}, "7:1": {}}


def test_a_missing_file_is_none_or_empty(tmp_path: Path) -> None:
    file = tmp_path / "none"
    assert read_number(file) is None
    assert read_flat_keyed(file) == {}
    assert read_nested_keyed(file) == {}
    with pytest.raises(FileNotFoundError):
        write(file, "1")
