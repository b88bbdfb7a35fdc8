# SPDX-License-Identifier: Apache-2.0
"""Every option of the kernel command line, in the forms that Kata's agents get."""

from __future__ import annotations

from typing import Any

import pytest

from kata_agent.options.cmdline import find_config_file, parse_cmdline
from kata_agent.options.config import Config

DEFAULT = Config()
ISOLATED = {"trace": "isolated", "debug": True}
COLLATED = {"trace": "collated", "debug": True}
DEVMODE = {"devmode": True, "debug": True}

TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("quiet root=/dev/pmem0p1 ro =x agent", {}),
    # The level. Only `debug` also sets the debug flag.
    ("agent.log=debug", {"log_level": "debug", "debug": True}),
    ("agent.log=info", {"log_level": "info"}),
    ("agent.log=warn", {"log_level": "warning"}),
    ("agent.log=error", {"log_level": "error"}),
    ("agent.log=fatal", {"log_level": "critical"}),
    ("agent.log=panic", {"log_level": "critical"}),
    ("agent.log=critical", {"log_level": "critical"}),
    ("agent.log=WARNING", {"log_level": "warning"}),
    ("agent.log=Debug", {"log_level": "debug", "debug": True}),
    ("agent.log=trace", {"log_level": "trace"}),
    ("agent.log=debug=x", {"log_level": "debug", "debug": True}),
    ("agent.log=debug agent.log=warn", {"log_level": "warning", "debug": True}),
    ("agent.log", {}),
    # A bare word that is spelled in another way is no option of the agent.
    ("agent.devmode", DEVMODE),
    ("agent.Devmode", {}),
    ("agent.DevMode", {}),
    ("devmode", {}),
    ("DevMode", {}),
    ("agent.devmodel", {}),
    ("agent.devmode.", {}),
    ("agent.devmode-", {}),
    ("agent.devmode:", {}),
    # Tracing: Kata 1.x's values, then those of 2.x and later.
    ("agent.trace", ISOLATED),
    ("agent.trace=isolated", ISOLATED),
    ("agent.trace=collated", COLLATED),
    ("agent.trace=true", COLLATED),
    ("agent.trace=1", COLLATED),
    ("agent.trace=false", {}),
    ("agent.trace=0", {}),
    ("agent.trace=off", {}),
    ("agent.trace=disabled", {}),
    ("moo", {}),
    (".agent.trace", {}),
    ("agent.trace.", {}),
    ("xagent.trace", {}),
    ("agent.tracex", {}),
    ("xagent.tracex", {}),
    ("=agent.trace", {}),
    ("agent.trace_vport=10241", {"trace_vport": 10241}),
    ("agent.trace_encoding=jaeger", {"trace_encoding": "jaeger"}),
    ("agent.trace_encoding=otlp", {}),
    ("agent.trace_flush_ms=200", {"trace_flush_ms": 200}),
    # Vsock is always used, so that the option changes nothing.
    ("agent.use_vsock=true", {}),
    ("agent.use_vsock=1", {}),
    ("agent.use_vsock=T", {}),
    ("use_vsockkk=true", {}),
    ("agent.server_addr=unix:///a=b", {"server_addr": "unix:///a=b"}),
    # The debug console.
    ("agent.debug_console", {"debug_console": True}),
    ("debug_console", {}),
    ("debug_console=true", {}),
    ("debug_console=1", {}),
    (
        "agent.debug_console_vport=1026",
        {"debug_console": True, "debug_console_vport": 1026},
    ),
    ("agent.debug_console_vport=0", {"debug_console": True}),
    ("agent.debug_console_vport", {}),
    ("debug_console_vport", {}),
    ("debug_console_vport=xxx", {}),
    ("debug_console_vport=1026", {}),
    ("agent.forward_vport=1028", {"forward_vport": 1028}),
    ("agent.log_vport=1025", {"log_vport": 1025}),
    ("agent.shell_vport=1030", {"shell_vport": 1030}),
    ("agent.passfd_listener_port=1027", {"passfd_listener_port": 1027}),
    # The hotplug timeout: a Go duration, or whole seconds.
    ("agent.hotplug_timeout=3h", {"hotplug_timeout": 10800.0}),
    ("agent.hotplug_timeout=1s", {"hotplug_timeout": 1.0}),
    ("agent.hotplug_timeout=100ms", {"hotplug_timeout": 0.1}),
    ("agent.hotplug_timeout=10s", {"hotplug_timeout": 10.0}),
    ("agent.hotplug_timeout=10", {"hotplug_timeout": 10.0}),
    ("agent.hotplug_timeout=1m30s", {"hotplug_timeout": 90.0}),
    ("agent.hotplug_timeout=500ms", {"hotplug_timeout": 0.5}),
    ("agent.hotplug_timeout=1h30m", {"hotplug_timeout": 5400.0}),
    ("agent.hotplug_timeout=1.5s", {"hotplug_timeout": 1.5}),
    ("agent.hotplug_timeout=0s", {}),
    ("agent.hotplug_timeout=0", {}),
    ("agent.hotplug_timeout=-5s", {}),
    ("hotpug_timout", {}),
    ("hotplug_timeout", {}),
    ("hotplug_timeout=1h", {}),
    ("agnt.hotplug_timeout=1h", {}),
    # The cgroup version: options of the agent, of systemd and of the kernel.
    ("agent.unified_cgroup_hierarchy=true", {"unified_cgroup_hierarchy": True}),
    ("agent.unified_cgroup_hierarchy=1", {"unified_cgroup_hierarchy": True}),
    ("agent.unified_cgroup_hierarchy=false", {}),
    ("agent.unified_cgroup_hierarchy=0", {}),
    ("agent.unifiedCgroupHierarchy", {}),
    ("agent.unified_cgroup_hierarchy", {}),
    ("agent.unified_cgroup_hierarchi", {}),
    ("systemd.unified_cgroup_hierarchy=1", {"unified_cgroup_hierarchy": True}),
    ("systemd.unified_cgroup_hierarchy=true", {"unified_cgroup_hierarchy": True}),
    ("systemd.unified_cgroup_hierarchy=yes", {"unified_cgroup_hierarchy": True}),
    ("systemd.unified_cgroup_hierarchy", {"unified_cgroup_hierarchy": True}),
    ("systemd.unified_cgroup_hierarchy=0", {}),
    ("systemd.unified_cgroup_hierarchy=bogus", {}),
    ("cgroup_no_v1=all", {"unified_cgroup_hierarchy": True}),
    (
        "cgroup_no_v1=all agent.unified_cgroup_hierarchy=0",
        {"unified_cgroup_hierarchy": True},
    ),
    ("cgroup_no_v1=memory", {}),
    (
        "agent.unified_cgroup_hierarchy=1 systemd.unified_cgroup_hierarchy=0",
        {"unified_cgroup_hierarchy": False},
    ),
    # Pipes.
    ("agent.container_pipe_size=3", {"container_pipe_size": 3}),
    ("agent.container_pipe_size=2097152", {"container_pipe_size": 2097152}),
    ("agent.container_pipe_size=0", {}),
    ("container_pip_siz", {}),
    ("container_pipe_size", {}),
    ("container_pipe_size=3", {}),
    ("agnt.container_pipe_size=3", {}),
    ("agent.runtime=runc", {"runtime": "runc"}),
    ("agent.config_file=/etc/kata.toml", {}),
    # Options that runtimes set for parts of Kata's agent that this one does not have.
    ("agent.cdh_api_timeout=50", {}),
    ("agent.cdi_timeout=100", {}),
    ("agent.image_pull_timeout=1200", {}),
    ("agent.launch_process_timeout=6", {}),
    ("agent.guest_components_procs=attestation-agent", {}),
    ("agent.visible_cdi_devices=true agent.visible_cdi_devices", {}),
    ("agent.https_proxy=http://user:a=b@proxy:3128 agent.no_proxy=", {}),
    ("agent.guest_components_procs=none agent.guest_components_rest_api=all", {}),
    ("agent.aa_kbc_params=cc_kbc::http://kbs:8080", {}),
    # runtime-rs, with its memory agent turned on.
    (
        "psi=1 agent.mem_agent_enable=1 agent.mem_agent_memcg_disable=0"
        " agent.mem_agent_memcg_swappiness_max=50 agent.mem_agent_compact_order=9"
        " agent.mem_agent_compact_force_times=9223372036854775807",
        {},
    ),
    # All options of the Go shim and of runtime-rs, on one command line.
    (
        "reboot=k panic=1 systemd.unit=kata-containers.target"
        " systemd.mask=systemd-networkd.service systemd.mask=systemd-networkd.socket"
        " scsi_mod.scan=none agent.log=debug agent.debug_console"
        " agent.debug_console_vport=1026 agent.log_vport=1025"
        " agent.container_pipe_size=2097152 agent.cdh_api_timeout=50"
        " agent.launch_process_timeout=6",
        {
            "log_level": "debug",
            "debug": True,
            "debug_console": True,
            "debug_console_vport": 1026,
            "log_vport": 1025,
            "container_pipe_size": 2097152,
        },
    ),
]

REFUSED = [
    "agent.log=debgu",
    "agent.log=debg",
    "agent.log=ifo",
    "agent.log=wan",
    "agent.log=eror",
    "agent.log=ftal",
    "agent.log=pnic",
    "agent.log=",
    "agent.lgo=debug",
    "agent.devmode=1",
    "agent.trace=",
    "agent.trace=isolatedx",
    "agent.trace=collatedx",
    "agent.trace_vport=-1",
    "agent.trace_encoding=xml",
    "agent.trace_flush_ms=1s",
    "agent.use_vsock=blah",
    "agent.use_vsock=false",
    "agent.use_vsock=0",
    "agent.use_vsock=F",
    "agent.server_addr=",
    "agent.debug_console=true",
    "agent.debug_console_vport=",
    "agent.debug_console_vport=xxxx",
    "agent.log_vport=abc",
    "agent.shell_vport=abc",
    "agent.log_vport=",
    "agent.log_vport=4294967296",
    "agent.hotplug_timeout=-1",
    "agent.hotplug_timeout=foobar",
    "agent.hotplug_timeout=bogus",
    "agent.hotplug_timeout=5.0",
    "agent.hotplug_timeout=",
    "agent.unified_cgroup_hierarchy=fal",
    "agent.unified_cgroup_hierarchy=ttt",
    "agent.unified_cgroup_hierarchy=tru",
    "agent.unified_cgroup_hierarchy=5",
    "agent.unifiedCgroupHierarchy=true",
    "agent.container_pipe_size=-1",
    "agent.container_pipe_size=foobar",
    "agent.container_pipe_size=5.0",
    "agent.runtime=",
]


@pytest.mark.parametrize(("text", "expected"), TAKEN, ids=[text for text, _ in TAKEN])
def test_an_option_that_is_taken_or_not_ours(
    text: str, expected: dict[str, Any]
) -> None:
    config, warnings = parse_cmdline(text, DEFAULT)
    assert config == DEFAULT._replace(**expected)
    assert warnings == []


@pytest.mark.parametrize("text", REFUSED)
def test_a_bad_option_is_one_warning_and_changes_nothing(text: str) -> None:
    config, warnings = parse_cmdline(text, DEFAULT)
    assert config == DEFAULT
    (warning,) = warnings
    assert warning.startswith(f"option '{text}': ")


def test_a_bad_option_stops_no_other() -> None:
    config, warnings = parse_cmdline(
        "quiet agent.log=bogus agent.log_vport=1025 root=/dev/pmem0p1\n", DEFAULT
    )
    assert config == Config(log_vport=1025)
    assert len(warnings) == 1


def test_a_bad_value_keeps_the_one_before_it() -> None:
    config, warnings = parse_cmdline(
        "agent.hotplug_timeout=5s agent.hotplug_timeout=bad", DEFAULT
    )
    assert config.hotplug_timeout == 5
    assert len(warnings) == 1


def test_the_last_config_file_counts() -> None:
    text = "agent.config_file=/a agent.config_file= agent.config_file=/b quiet"
    assert find_config_file(text) == "/b"
    assert find_config_file("agent.config_file= quiet") is None
