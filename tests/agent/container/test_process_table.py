# SPDX-License-Identifier: Apache-2.0
"""The table without any process."""

from __future__ import annotations

import pytest

from kata_agent.container.process_table import ProcessTable
from kata_agent.errors import AlreadyExists, NotFound


def test_the_init_has_two_names() -> None:
    table = ProcessTable("c1")
    with table.reserve("c1"), pytest.raises(AlreadyExists), table.reserve(""):
        raise AssertionError("reserved twice")
    with table.reserve("c1"):
        pass


def test_an_unknown_process_is_not_found() -> None:
    table = ProcessTable("c1")
    for exec_id in ("", "c1"):
        with pytest.raises(NotFound, match="^container 'c1': no init process$"):
            table.find(exec_id)
    with pytest.raises(NotFound, match="^container 'c1': no process 'e1'$"):
        table.find_readable("e1")
