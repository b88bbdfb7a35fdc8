# SPDX-License-Identifier: Apache-2.0
"""Ports of streams."""

from __future__ import annotations

import pytest

from kata_agent.container.stream_ports import StreamPorts


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_one_port_is_enough_for_connections(stream: str) -> None:
    assert StreamPorts(**{stream: 1})


def test_a_request_without_ports_has_no_connections() -> None:
    assert not StreamPorts()
