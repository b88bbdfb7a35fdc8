# SPDX-License-Identifier: Apache-2.0
"""Every absolute path that the agent reads or writes, in one value.

Tests give the domain a tree of their own instead of the machine's.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class SystemPaths(NamedTuple):
    """The roots below which the agent looks for the kernel and keeps its state."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    run: Path = Path("/run")
    etc: Path = Path("/etc")

    @property
    def sandbox(self) -> Path:
        """Bundles, shared directories and sandbox files: `/run/kata-containers`."""
        return self.run / "kata-containers"

    @property
    def shared(self) -> Path:
        """Files that the host shares or copies in; `CopyFile` is confined to it."""
        return self.sandbox / "shared" / "containers"

    @property
    def runtime(self) -> Path:
        """State of the OCI runtime, on the tmpfs of `/run`."""
        return self.run / "kata-agent" / "runtime"

    @property
    def namespaces(self) -> Path:
        """The bind mounts that keep the sandbox's shared namespaces."""
        return self.run / "sandbox-ns"

    @property
    def cgroup(self) -> Path:
        """The mounted cgroup hierarchies (man 7 cgroups)."""
        return self.sys / "fs" / "cgroup"
