# SPDX-License-Identifier: Apache-2.0
"""The TOML file, with the keys of Kata's agents and of this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.options.config import Config
from kata_agent.options.file import ConfigFileError, read_config_file

WHOLE = """
dev_mode = true
log_level = "warn"
tracing = true
debug_console = true
debug_console_vport = 1026
log_vport = 1025
shell_vport = 1030
server_addr = "unix:///run/agent.sock"
container_pipe_size = 65536
unified_cgroup_hierarchy = true
runtime = "runc"
trace_vport = 4318
trace_encoding = "jaeger"
trace_flush_ms = 100
hotplug_timeout = {secs = 10, nanos = 500000000}
guest_components_procs = "none"

[endpoints]
allowed = ["CreateSandboxRequest"]
"""


def read(tmp_path: Path, text: str) -> tuple[Config, list[str]]:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return read_config_file(path, Config())


def test_every_key(tmp_path: Path) -> None:
    config, warnings = read(tmp_path, WHOLE)
    assert warnings == []
    assert config == Config(
        server_addr="unix:///run/agent.sock",
        log_level="warning",
        debug=True,
        devmode=True,
        debug_console=True,
        debug_console_vport=1026,
        log_vport=1025,
        shell_vport=1030,
        hotplug_timeout=10.5,
        unified_cgroup_hierarchy=True,
        container_pipe_size=65536,
        runtime="runc",
        trace="collated",
        trace_vport=4318,
        trace_encoding="jaeger",
        trace_flush_ms=100,
    )


@pytest.mark.parametrize("value", ["10", '"10s"', '"10"', "{secs = 10}"])
def test_the_forms_of_a_duration(tmp_path: Path, value: str) -> None:
    config, warnings = read(tmp_path, f"hotplug_timeout = {value}")
    assert (config.hotplug_timeout, warnings) == (10, [])


def test_a_port_alone_does_not_open_the_console(tmp_path: Path) -> None:
    config, _ = read(tmp_path, "debug_console_vport = 1026")
    assert config == Config(debug_console_vport=1026)


@pytest.mark.parametrize(
    "line",
    [
        "log_level = 7",
        "debug_console = 1",
        "log_vport = -1",
        "hotplug_timeout = [3]",
        "hotplug_timeout = {nanos = 1}",
        "hotplug_timeout = 1.5",
        "trace_encoding = 2020-01-01",
    ],
)
def test_a_bad_value_is_one_warning(tmp_path: Path, line: str) -> None:
    config, warnings = read(tmp_path, f'{line}\nserver_addr = "unix:///x"')
    (warning,) = warnings
    assert f"agent.toml: {line.split()[0]}: " in warning
    assert config == Config(server_addr="unix:///x")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    with pytest.raises(ConfigFileError, match=r"none\.toml: No such file"):
        read_config_file(path, Config())


@pytest.mark.parametrize("content", [b"log_level =", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "agent.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigFileError, match=r"agent\.toml: "):
        read_config_file(path, Config())
