# SPDX-License-Identifier: Apache-2.0
"""The work of PID 1 between its configuration and its service."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from kata_agent.boot.cgroups import mount_cgroups
from kata_agent.boot.system import (
    link_ptmx,
    raise_loopback,
    set_hostname,
    set_search_path,
    take_terminal,
)
from kata_agent.options.config import Config
from kata_agent.options.load import LOCAL_SOCKET
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)


def is_init() -> bool:
    """Return whether the agent is PID 1 of a machine, so that it has to boot it.

    In a local guest, the program that made its namespaces has done this already.
    """
    return os.getpid() == 1 and LOCAL_SOCKET not in os.environ


def prepare_system(paths: SystemPaths, config: Config) -> None:
    """Do the rest of an init's work, once the configuration is known.

    A step that fails is logged and the boot goes on, because a guest that serves can
    report the failure.
    """
    steps: tuple[Callable[[], object], ...] = (
        lambda: mount_cgroups(paths, unified=config.unified_cgroup_hierarchy),
        lambda: link_ptmx(paths),
        take_terminal,
        set_search_path,
        lambda: set_hostname(paths),
        raise_loopback,
    )
    for step in steps:
        try:
            step()
        except OSError as error:
            log.error("boot step failed", extra={"error": str(error)})
