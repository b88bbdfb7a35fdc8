# SPDX-License-Identifier: Apache-2.0
"""The table of ps, filtered."""

from __future__ import annotations

import pytest

from kata_agent.container.process_list import filter_table
from kata_agent.errors import Internal


@pytest.mark.parametrize(
    ("header", "line"),
    [("UID PID CMD", "root 7 sleep 7"), ("PID TTY", "7 ?"), ("CMD PID", "x 7")],
)
def test_lines_of_the_pids_stay_below_the_header(header: str, line: str) -> None:
    other = line.replace("7", "8")
    table = f"{header}\n{other}\n\n{line}\n"
    assert filter_table(table, {7}) == f"{header}\n{line}\n"


@pytest.mark.parametrize("table", ["", "CMD\nx\n", "A PID\nx\n", "PID\nx\n"])
def test_a_table_without_pids_is_an_error(table: str) -> None:
    with pytest.raises(Internal, match="process list: no "):
        filter_table(table, {1})
