# SPDX-License-Identifier: Apache-2.0
"""The kernel command line: `agent.log=debug agent.hotplug_timeout=10s ...`.

One word is one option. Words are read from left to right, a later one wins, and
there is no quoting. A name that does not begin with `agent.` is never our error;
a bad option of ours is one warning, keeps the value before it, and never stops the
boot.

Every option is in `OPTIONS` (a name and a value) or `FLAGS` (a bare word).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from kata_agent.options.config import Config
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
"""What Kata's agents, old and new, call the levels, and what we call them."""

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

# systemd's own grammar (man 7 systemd.syntax), as this word is systemd's.
SYSTEMD_TRUE: Final = frozenset({"1", "yes", "y", "true", "t", "on"})


class OptionError(ValueError):
    """An option that cannot be meant; the message says which and why."""


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
    # Kata's agents take no timeout and a negative one for none given.
    return {"hotplug_timeout": timeout} if timeout > 0 else {}


def _use_vsock(value: str) -> Changes:
    if not parse_bool(value):
        raise ValueError("virtio-serial is not served, vsock is used")
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
    "agent.hotplug_timeout": _hotplug_timeout,
    "agent.log": _log,
    "agent.log_vport": _uint32("log_vport"),
    "agent.passfd_listener_port": _uint32("passfd_listener_port"),
    "agent.runtime": _text("runtime"),
    "agent.server_addr": _text("server_addr"),
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
    # What makes it a flag for systemd too (man 1 systemd, "KERNEL COMMAND LINE").
    "systemd.unified_cgroup_hierarchy": {"unified_cgroup_hierarchy": True},
}

WITHOUT_EFFECT: Final = frozenset(
    {
        "agent.cdh_api_timeout",
        "agent.cdi_timeout",
        "agent.image_pull_timeout",
        "agent.launch_process_timeout",
    }
)
"""Times to wait for parts of Kata's agent that are not here; runtimes set some."""

CONFIG_FILE: Final = "agent.config_file"
"""The option that is not a setting itself: `kata_agent.options.load` looks for it."""


def parse_word(word: str) -> Changes:
    """Return what one word of the command line changes.

    Raises `OptionError` for an `agent.` option that is unknown or badly valued.
    """
    name, equals, rest = word.partition("=")
    if not equals:
        return FLAGS.get(word, {})
    # An address may hold a "="; Kata's agents drop what follows one elsewhere.
    value = rest if name == "agent.server_addr" else rest.partition("=")[0]
    if name == CONFIG_FILE or name in WITHOUT_EFFECT:
        return {}
    parse = OPTIONS.get(name)
    if parse is None:
        if name.startswith("agent."):
            raise OptionError(f"option '{word}': unknown")
        return {}
    try:
        return parse(value)
    except ValueError as error:
        raise OptionError(f"option '{word}': {error}") from error


def parse_cmdline(text: str, config: Config) -> tuple[Config, list[str]]:
    """Return `config` as the command line `text` changes it, and the warnings."""
    words = text.split()
    warnings = []
    for word in words:
        try:
            config = replace(config, **parse_word(word))
        except OptionError as error:
            warnings.append(str(error))
    # A kernel without cgroup v1 has no choice left for a later word to take.
    if "cgroup_no_v1=all" in words:
        config = replace(config, unified_cgroup_hierarchy=True)
    return config, warnings


def find_config_file(text: str) -> str | None:
    """Return the value of the last `agent.config_file=` in the command line `text`."""
    values = [
        value
        for name, _, value in (word.partition("=") for word in text.split())
        if name == CONFIG_FILE and value
    ]
    return values[-1] if values else None
