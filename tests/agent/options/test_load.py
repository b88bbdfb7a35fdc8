# SPDX-License-Identifier: Apache-2.0
"""The precedence of the sources of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.options.config import Config
from kata_agent.options.file import ConfigFileError
from kata_agent.options.load import load_config


def test_nothing_said() -> None:
    assert load_config(None, "", {}) == (Config(), [])


def test_the_command_line() -> None:
    config, warnings = load_config(None, "agent.log=warn agent.foo=1", {})
    assert config == Config(log_level="warning")
    assert warnings == ["option 'agent.foo=1': unknown"]


def test_a_file_replaces_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("log_vport = 1025")
    cmdline = f"agent.container_pipe_size=1 agent.config_file={path}"
    assert load_config(None, cmdline, {}) == (Config(log_vport=1025), [])
    assert load_config(path, "agent.container_pipe_size=1", {}) == (
        Config(log_vport=1025),
        [],
    )


def test_a_bad_file_on_the_command_line_does_not_stop_the_boot() -> None:
    config, warnings = load_config(
        None, "agent.config_file=/nowhere/agent.toml agent.log=warn", {}
    )
    assert config == Config(log_level="warning")
    assert warnings == ["/nowhere/agent.toml: No such file or directory"]


def test_a_bad_file_given_as_an_argument_does() -> None:
    with pytest.raises(ConfigFileError):
        load_config(Path("/nowhere/agent.toml"), "", {})


def test_the_environment_wins() -> None:
    config, warnings = load_config(
        None,
        "agent.log=warn agent.server_addr=vsock://-1:1",
        {
            "KATA_AGENT_SERVER_ADDR": "unix:///run/agent.sock",
            "KATA_AGENT_LOG_LEVEL": "error",
            "KATA_AGENT_TRACING": "true",
            "KATA_AGENT_LOCAL_SOCKET": "/run/guest.sock",
        },
    )
    assert warnings == []
    assert config == Config(
        server_addr="unix:///run/agent.sock",
        local_socket=Path("/run/guest.sock"),
        log_level="error",
        trace="collated",
        debug=True,
    )


def test_a_bad_variable_is_one_warning() -> None:
    config, warnings = load_config(None, "", {"KATA_AGENT_LOG_LEVEL": "loud"})
    assert config == Config()
    assert len(warnings) == 1
    assert warnings[0].startswith("environment: KATA_AGENT_LOG_LEVEL: ")


@pytest.mark.parametrize(
    ("cmdline", "level"),
    [
        ("agent.devmode", "debug"),
        ("agent.devmode agent.log=info", "debug"),
        ("agent.log=trace agent.devmode", "trace"),
    ],
)
def test_devmode_implies_debug(cmdline: str, level: str) -> None:
    config, _ = load_config(None, cmdline, {})
    assert (config.devmode, config.debug, config.log_level) == (True, True, level)
