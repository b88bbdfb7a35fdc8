# SPDX-License-Identifier: Apache-2.0
"""The log line that names the agent's version, settings, abilities and boot times."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from kata_agent.machine.memory_info import read_memory_total
from kata_agent.options.config import Config
from kata_agent.system_paths import SystemPaths
from kata_agent.version import API_VERSION

log = logging.getLogger(__name__)


def boottime() -> float:
    """Return the seconds since the kernel began to run (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def announce(
    paths: SystemPaths,
    config: Config,
    *,
    started: float,
    device_handlers: Sequence[str],
    storage_handlers: Sequence[str],
) -> None:
    """Log versions, settings that are not the default, abilities and boot times.

    `started` is the `boottime()` of the agent's first act. The time before it is that
    of the kernel and, under systemd, of the init system; the time after it is the
    agent's own.
    """
    log.info(
        "announce",
        extra={
            "api_version": API_VERSION,
            "config": changed_settings(config),
            "device_handlers": ",".join(device_handlers),
            "storage_handlers": ",".join(storage_handlers),
            "system_memory": read_memory_total(paths.proc / "meminfo"),
            "before_agent_ms": round(started * 1000),
            "agent_ms": round((boottime() - started) * 1000),
        },
    )


def changed_settings(config: Config) -> dict[str, object]:
    """Return the settings that differ from the default."""
    default = Config()._asdict()
    return {
        name: value
        for name, value in config._asdict().items()
        if value != default[name]
    }
