# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.client import AgentClient
from kata_host.ctl.meter import Meter
from tests.helpers.fake_agent import FakeAgent


async def test_a_sample_has_what_was_used_since_the_one_before(
    agent: FakeAgent, address: str
) -> None:
    stats = agent.stats.cgroup_stats
    stats.memory_stats.usage.usage = 1 << 20
    stats.memory_stats.usage.limit = 2**63 - 4096
    stats.pids_stats.current = 3
    for operation, size in (("Read", 5), ("Write", 6), ("read", 7), ("Total", 99)):
        stats.blkio_stats.io_service_bytes_recursive.add(op=operation, value=size)
    async with AgentClient.connect(address) as client:
        meter = Meter(client, "c1")
        await meter.sample()
        stats.cpu_stats.cpu_usage.total_usage = 10**15
        sample = await meter.sample()
        assert sample.cpu_percent > 100
        assert (await meter.sample()).cpu_percent == 0
    assert (sample.memory, sample.memory_limit, sample.pids) == (1 << 20, 0, 3)
    assert (sample.read, sample.written) == (12, 6)
