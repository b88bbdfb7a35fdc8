# SPDX-License-Identifier: Apache-2.0
"""Abilities of the guest and of its kernel, from which the host chooses."""

from __future__ import annotations

import os
from collections.abc import Sequence

from kata_agent.machine.cpu_memory import has_memory_probe, memory_block_size
from kata_agent.system_paths import SystemPaths
from kata_agent.version import VERSION
from kata_protos.agent_pb2 import (
    AgentDetails,
    GuestDetailsRequest,
    GuestDetailsResponse,
)


def guest_details(
    paths: SystemPaths,
    request: GuestDetailsRequest,
    *,
    device_handlers: Sequence[str],
    storage_handlers: Sequence[str],
) -> GuestDetailsResponse:
    """Return the details, those of memory only if the request asks for them. Blocks."""
    has_seccomp = kernel_has_seccomp(paths)
    details = GuestDetailsResponse(
        agent_details=AgentDetails(
            version=VERSION,
            init_daemon=os.getpid() == 1,
            device_handlers=device_handlers,
            storage_handlers=storage_handlers,
            supports_seccomp=has_seccomp,
            # Of Kata's names ("seccomp", "agent-policy"), those of the parts that this
            # agent has.
            extra_features=["seccomp"] if has_seccomp else [],
        )
    )
    if request.mem_block_size:
        details.mem_block_size_bytes = memory_block_size(paths)
    if request.mem_hotplug_probe:
        details.support_mem_hotplug_probe = has_memory_probe(paths)
    return details


def kernel_has_seccomp(paths: SystemPaths) -> bool:
    """Tell whether the kernel has seccomp filters; every OCI runtime has.

    This file needs CONFIG_SECCOMP_FILTER. The line `Seccomp` in a process's status
    needs only CONFIG_SECCOMP (man 5 proc), so that line would not tell.
    """
    return (paths.proc / "sys/kernel/seccomp/actions_avail").exists()
