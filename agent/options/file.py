# SPDX-License-Identifier: Apache-2.0
"""The TOML file: `kata-agent --config FILE`, or `agent.config_file=FILE`.

    log_level = "debug"
    debug_console = true
    debug_console_vport = 1026
    hotplug_timeout = "10s"             # or 10, or {secs = 10, nanos = 0}

Keys are flat and have the meaning of the kernel options. Other keys and tables are
ignored, because files for Kata's Rust agent hold some. An invalid value is one warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kata_agent.options.config import Config
from kata_agent.options.table import FLAGS, OPTIONS, Changes

VALUES: Final[Mapping[str, str]] = {
    "container_pipe_size": "agent.container_pipe_size",
    "forward_vport": "agent.forward_vport",
    "hotplug_timeout": "agent.hotplug_timeout",
    "log_level": "agent.log",
    "log_vport": "agent.log_vport",
    "runtime": "agent.runtime",
    "passfd_listener_port": "agent.passfd_listener_port",
    "server_addr": "agent.server_addr",
    "shell_vport": "agent.shell_vport",
    "trace_encoding": "agent.trace_encoding",
    "trace_flush_ms": "agent.trace_flush_ms",
    "trace_vport": "agent.trace_vport",
    "tracing": "agent.trace",
    "unified_cgroup_hierarchy": "agent.unified_cgroup_hierarchy",
}
"""The key of a setting and the kernel option whose values it takes."""

SWITCHES: Final[Mapping[str, str]] = {
    "debug_console": "agent.debug_console",
    "dev_mode": "agent.devmode",
}
"""The key of a boolean and the kernel option that it stands for when true."""


class ConfigFileError(Exception):
    """A file that cannot be read or is not TOML; the message begins with its name."""


def read_config_file(path: Path, config: Config) -> tuple[Config, list[str]]:
    """Return `config` with the changes of the file `path`, and the warnings.

    Raises `ConfigFileError`.
    """
    # Imported here, because nearly no guest has such a file.
    import tomllib

    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigFileError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigFileError(f"{path}: {error}") from error
    warnings = []
    for key, value in table.items():
        try:
            config = config._replace(**_changes(key, value))
        except ValueError as error:
            warnings.append(f"{path}: {key}: {error}")
    return config, warnings


def _changes(key: str, value: Any) -> Changes:
    if key in SWITCHES:
        if not isinstance(value, bool):
            raise ValueError("not a boolean")
        return FLAGS[SWITCHES[key]] if value else {}
    if key == "debug_console_vport":
        # As in Kata's agent, the port is only used if `debug_console` is true.
        port = OPTIONS["agent.debug_console_vport"](_text(value))
        return {"debug_console_vport": port["debug_console_vport"]}
    if key not in VALUES:
        return {}
    return OPTIONS[VALUES[key]](_text(value))


def _text(value: Any) -> str:
    """Return the text that a value has on the kernel command line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
        case {"secs": int(seconds), "nanos": int(nanos)}:
            return f"{seconds}s{nanos}ns"
        case {"secs": int(seconds)}:
            return f"{seconds}s"
    raise ValueError(f"a {type(value).__name__} is not a value of an option")
