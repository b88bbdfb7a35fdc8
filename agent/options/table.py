# SPDX-License-Identifier: Apache-2.0
"""Every option, its values, and the fields of `Config` that it sets.

An option is in `OPTIONS` (a name and a value) or in `FLAGS` (a bare word). The kernel
command line, a TOML file and the environment all read their values by this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from kata_agent.options.values import parse_bool, parse_timeout, parse_uint32

Changes: TypeAlias = dict[str, Any]
"""Fields of `Config` and their new values."""

LEVELS: Final[Mapping[str, str]] = {
    "panic": "critical",
    "fatal": "critical",
    "critical": "critical",
    "error": "error",
    "warn": "warning",
    "warning": "warning",
    "info": "info",
    "debug": "debug",
    "trace": "trace",
}
"""The names of the levels in all of Kata's agents, and in `Config`."""

TRACES: Final[Mapping[str, str]] = {
    "isolated": "isolated",
    "collated": "collated",
    "true": "collated",
    "1": "collated",
    "false": "off",
    "0": "off",
    "off": "off",
    "disabled": "off",
}

# By systemd's grammar (man 7 systemd.syntax), because the option is systemd's.
SYSTEMD_TRUE: Final = frozenset({"1", "yes", "y", "true", "t", "on"})


def _log(value: str) -> Changes:
    level = LEVELS.get(value.lower())
    if level is None:
        raise ValueError(f"not one of {', '.join(LEVELS)}")
    return {"log_level": level} | ({"debug": True} if level == "debug" else {})


def _trace(value: str) -> Changes:
    trace = TRACES.get(value)
    if trace is None:
        raise ValueError(f"not one of {', '.join(TRACES)}")
    return {"trace": trace} | ({"debug": True} if trace != "off" else {})


def _debug_console_vport(value: str) -> Changes:
    return {"debug_console_vport": parse_uint32(value), "debug_console": True}


def _hotplug_timeout(value: str) -> Changes:
    timeout = parse_timeout(value)
    # Kata's agents use the default in place of a timeout of zero or less.
    return {"hotplug_timeout": timeout} if timeout > 0 else {}


def _use_vsock(value: str) -> Changes:
    if not parse_bool(value):
        raise ValueError("virtio-serial is not supported, vsock is used")
    return {}


def _cgroup_no_v1(value: str) -> Changes:
    return {"unified_cgroup_hierarchy": True} if value == "all" else {}


def _text(field: str) -> Callable[[str], Changes]:
    def parse(value: str) -> Changes:
        if not value:
            raise ValueError("empty")
        return {field: value}

    return parse


def _uint32(field: str) -> Callable[[str], Changes]:
    return lambda value: {field: parse_uint32(value)}


def _choice(field: str, *choices: str) -> Callable[[str], Changes]:
    def parse(value: str) -> Changes:
        if value not in choices:
            raise ValueError(f"not one of {', '.join(choices)}")
        return {field: value}

    return parse


OPTIONS: Final[Mapping[str, Callable[[str], Changes]]] = {
    "agent.container_pipe_size": _uint32("container_pipe_size"),
    "agent.debug_console_vport": _debug_console_vport,
    "agent.forward_vport": _uint32("forward_vport"),
    "agent.hotplug_timeout": _hotplug_timeout,
    "agent.log": _log,
    "agent.log_vport": _uint32("log_vport"),
    "agent.passfd_listener_port": _uint32("passfd_listener_port"),
    "agent.runtime": _text("runtime"),
    "agent.server_addr": _text("server_addr"),
    "agent.shell_vport": _uint32("shell_vport"),
    "agent.trace": _trace,
    "agent.trace_encoding": _choice("trace_encoding", "otlp", "jaeger"),
    "agent.trace_flush_ms": _uint32("trace_flush_ms"),
    "agent.trace_vport": _uint32("trace_vport"),
    "agent.unified_cgroup_hierarchy": lambda value: {
        "unified_cgroup_hierarchy": parse_bool(value)
    },
    "agent.use_vsock": _use_vsock,
    "cgroup_no_v1": _cgroup_no_v1,
    "systemd.unified_cgroup_hierarchy": lambda value: {
        "unified_cgroup_hierarchy": value.lower() in SYSTEMD_TRUE
    },
}

FLAGS: Final[Mapping[str, Changes]] = {
    "agent.debug_console": {"debug_console": True},
    "agent.devmode": {"devmode": True, "debug": True},
    "agent.trace": {"trace": "isolated", "debug": True},
    # Without a value too, as for systemd (man 1 systemd, "KERNEL COMMAND LINE").
    "systemd.unified_cgroup_hierarchy": {"unified_cgroup_hierarchy": True},
}

WITHOUT_EFFECT: Final = frozenset(
    {
        "agent.aa_kbc_params",
        "agent.cdh_api_timeout",
        "agent.cdi_timeout",
        "agent.enable_signature_verification",
        "agent.guest_components_procs",
        "agent.guest_components_rest_api",
        "agent.https_proxy",
        "agent.image_policy_file",
        "agent.image_pull_timeout",
        "agent.image_registry_auth",
        "agent.launch_process_timeout",
        "agent.no_proxy",
        "agent.secure_image_storage_integrity",
        "agent.secure_storage_integrity",
        "agent.visible_cdi_devices",
    }
)
"""Options for parts of Kata's agent that this one does not have: CDI, images that the
guest pulls, confidential computing. Runtimes and their users set them."""

MEM_AGENT: Final = "agent.mem_agent_"
"""The prefix of the options of another such part, its memory agent."""
