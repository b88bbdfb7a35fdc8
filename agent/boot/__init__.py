# SPDX-License-Identifier: Apache-2.0
"""What the agent does before it serves: little under systemd, all of it as PID 1.

from agent import boot

warnings = boot.mount_filesystems(paths) if boot.is_init() else []
...  # read the configuration, set up the log
if boot.is_init():
    boot.prepare_system(paths, config)
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from agent.boot.announce import announce, now
from agent.boot.cgroups import mount_cgroups
from agent.boot.core_dumps import enable_core_dumps
from agent.boot.filesystems import mount_filesystems
from agent.boot.power_off import power_off
from agent.boot.root import can_pivot_root
from agent.boot.system import (
    link_ptmx,
    raise_loopback,
    set_hostname,
    set_search_path,
    take_terminal,
)
from agent.options.config import Config
from agent.options.load import LOCAL_SOCKET
from agent.paths import SystemPaths

__all__ = [
    "announce",
    "can_pivot_root",
    "enable_core_dumps",
    "is_init",
    "mount_cgroups",
    "mount_filesystems",
    "now",
    "power_off",
    "prepare_system",
]

log = logging.getLogger(__name__)


def is_init() -> bool:
    """Tell whether the agent is PID 1 of a machine, so that nobody else boots it.

    PID 1 of a local guest finds all of it done by who made its namespaces.
    """
    return os.getpid() == 1 and LOCAL_SOCKET not in os.environ


def prepare_system(paths: SystemPaths, config: Config) -> None:
    """Do the rest of an init's work, once the configuration is known.

    A step that fails is logged and the boot goes on: a guest that answers can say
    what is wrong with it.
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
