# SPDX-License-Identifier: Apache-2.0
"""The table without any process."""

from __future__ import annotations

import pytest

from kata_agent.container.process_table import ProcessTable
from kata_agent.errors import AlreadyExists, InvalidState, NotFound


def test_the_init_has_two_names() -> None:
    table = ProcessTable("c1")
    table.begin_start("c1")
    with pytest.raises(AlreadyExists):
        table.begin_start("")
    table.end_start("")
    table.begin_start("c1")


async def test_a_kill_ends_the_start_that_has_the_id_and_no_later_one() -> None:
    table = ProcessTable("c1")
    start = table.begin_start("e1")
    table.begin_start("e2")
    assert not table.kill_start("e3")
    assert table.kill_start("e1")
    with pytest.raises(
        InvalidState, match=r"^container 'c1': process 'e1': cannot start, it was kille"
    ):
        async with start.step("start"):
            pytest.fail("started")
    table.end_start("e1")
    async with table.begin_start("e1").step("start"):
        pass


def test_an_unknown_process_is_not_found() -> None:
    table = ProcessTable("c1")
    for exec_id in ("", "c1"):
        with pytest.raises(NotFound, match="^container 'c1': no init process$"):
            table.find(exec_id)
    with pytest.raises(NotFound, match="^container 'c1': no process 'e1'$"):
        table.find_readable("e1")
