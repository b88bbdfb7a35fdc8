# SPDX-License-Identifier: Apache-2.0
"""A small run of the benchmark of many containers."""

from __future__ import annotations

import asyncio

import pytest

from bench import growth
from bench.tables import read_tables
from tests.helpers.namespace import require_root


@pytest.mark.slow
@pytest.mark.root
def test_each_container_costs_its_descriptors_and_no_thread() -> None:
    require_root()
    none, some = asyncio.run(growth.run([0, 8], 2))
    assert (none.containers, some.containers) == (0, 8)
    assert some.threads == none.threads
    # Its three pipes, its pidfd and its cgroup's events.
    assert some.descriptors == none.descriptors + 8 * 5
    (table,) = read_tables(growth.table([none, some]))
    assert [row[0] for row in table.rows] == ["0", "8"]
