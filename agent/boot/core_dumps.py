# SPDX-License-Identifier: Apache-2.0
"""`agent.devmode`: let the agent leave a core file when it crashes (man 5 core)."""

from __future__ import annotations

import resource

from kata_agent.system_paths import SystemPaths


def enable_core_dumps(paths: SystemPaths) -> None:
    """Remove the limit on core files, and have them written to `paths.run`.

    The kernel's default is a file `core` in the working directory. The agent's is `/`,
    which is read-only in most guests. A pattern that is not the default stays.
    """
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_CORE, unlimited)
    pattern = paths.proc / "sys/kernel/core_pattern"
    if pattern.read_text().strip() == "core":
        pattern.write_text(f"{paths.run}/core.%e.%p")
