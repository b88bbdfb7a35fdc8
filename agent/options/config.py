# SPDX-License-Identifier: Apache-2.0
"""The settings of the agent, in one frozen value.

`kata_agent.options.load` makes it from the kernel command line or a TOML file, and the
environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

DEFAULT_ADDRESS: Final = "vsock://-1:1024"
DEFAULT_HOTPLUG_TIMEOUT: Final = 3.0
"""Seconds; an invalid `agent.hotplug_timeout` means this too."""


class Config(NamedTuple):
    """The agent's settings. Times are seconds, sizes bytes, a port of 0 is off."""

    server_addr: str = DEFAULT_ADDRESS
    local_socket: Path | None = None
    """The hybrid-vsock socket of a local guest; None in a VM, where ports are vsock."""
    log_level: str = "info"
    """`critical`, `error`, `warning`, `info`, `debug` or `trace`."""
    debug: bool = False
    """SIGUSR1, SIGQUIT and SIGHUP log backtraces of every task and thread; in the PID 1
    of a machine SIGINT does too."""
    devmode: bool = False
    """The agent may leave a core file; implies `debug` and the level `debug`."""
    debug_console: bool = False
    debug_console_vport: int = 0
    """The vsock port of the debug console; 0 means `/dev/console`."""
    shell_vport: int = 0
    """The vsock port of shells with a size and an exit status."""
    forward_vport: int = 0
    """The port where the host asks for connections to programs in the guest."""
    log_vport: int = 0
    hotplug_timeout: float = DEFAULT_HOTPLUG_TIMEOUT
    unified_cgroup_hierarchy: bool = False
    container_pipe_size: int = 0
    """Capacity of a container's output pipes; 0 leaves the kernel's default."""
    passfd_listener_port: int = 0
    """The port where the host connects for standard streams; 0: the agent connects."""
    runtime: str = "crun"
    trace: str = "off"
    """`off`, `isolated` or `collated` (`kata_tracing.tracing.TraceType`)."""
    trace_vport: int = 10240
    trace_encoding: str = "otlp"
    """`otlp` or `jaeger`."""
    trace_flush_ms: int = 1000
