# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from kata_agent.network.stats import read_network_stats

TEXT = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets \
errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    \
0    0    0     0       0          0
  eth0:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
"""


def test_every_interface_but_the_loopback(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/dev").write_text(TEXT)
    (stats,) = read_network_stats(tmp_path)
    assert stats.name == "eth0"
    received = (stats.rx_bytes, stats.rx_packets, stats.rx_errors, stats.rx_dropped)
    sent = (stats.tx_bytes, stats.tx_packets, stats.tx_errors, stats.tx_dropped)
    assert (received, sent) == ((1, 2, 3, 4), (9, 10, 11, 12))
