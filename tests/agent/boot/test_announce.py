# SPDX-License-Identifier: Apache-2.0
"""The announce line."""

from __future__ import annotations

import logging

import pytest

from kata_agent.boot.announce import announce, boottime
from kata_agent.options.config import Config
from kata_agent.system_paths import SystemPaths


def test_the_fields(caplog: pytest.LogCaptureFixture) -> None:
    started = boottime()
    with caplog.at_level(logging.INFO):
        announce(
            SystemPaths(),
            Config(log_vport=1025),
            started=started,
            device_handlers=["blk", "scsi"],
            storage_handlers=["9p"],
        )
    (record,) = caplog.records
    fields = vars(record)
    assert record.getMessage() == "announce"
    assert fields["config"] == {"log_vport": 1025}
    assert fields["api_version"] == "0.0.1"
    assert fields["device_handlers"] == "blk,scsi"
    assert fields["storage_handlers"] == "9p"
    assert fields["system_memory"].endswith(" kB")
    assert fields["before_agent_ms"] == round(started * 1000)
    assert 0 <= fields["agent_ms"] < 60_000
