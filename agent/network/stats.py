# SPDX-License-Identifier: Apache-2.0
"""Statistics of the guest's interfaces, which all containers share."""

from __future__ import annotations

from pathlib import Path

from kata_protos import agent_pb2


def read_network_stats(proc: Path) -> list[agent_pb2.NetworkStats]:
    """Read `/proc/net/dev` (man 5 proc_pid_net), without the loopback."""
    stats = []
    for line in (proc / "net" / "dev").read_text().splitlines()[2:]:
        name, _, counters = line.partition(":")
        values = [int(word) for word in counters.split()]
        if name.strip() == "lo" or len(values) < 12:
            continue
        stats.append(
            agent_pb2.NetworkStats(
                name=name.strip(),
                rx_bytes=values[0],
                rx_packets=values[1],
                rx_errors=values[2],
                rx_dropped=values[3],
                tx_bytes=values[8],
                tx_packets=values[9],
                tx_errors=values[10],
                tx_dropped=values[11],
            )
        )
    return stats
