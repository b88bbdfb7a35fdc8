# SPDX-License-Identifier: Apache-2.0
"""From all sources of options to one `Config`.

    defaults  <  the kernel command line, or a file in its place  <  the environment

A file replaces the command line as a whole, as in Kata's agent. A bad file is an error
if it was given by `--config`, and a warning if the kernel command line named it: a
guest that does not boot cannot say why.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kata_agent.options.cmdline import find_config_file, parse_cmdline
from kata_agent.options.config import Config
from kata_agent.options.file import ConfigFileError, read_config_file
from kata_agent.options.table import OPTIONS, Changes

VARIABLES: Final[Mapping[str, str]] = {
    "KATA_AGENT_LOG_LEVEL": "agent.log",
    "KATA_AGENT_SERVER_ADDR": "agent.server_addr",
    "KATA_AGENT_TRACING": "agent.trace",
}
"""An environment variable and the kernel option whose values it takes."""

LOCAL_SOCKET: Final = "KATA_AGENT_LOCAL_SOCKET"
"""The environment variable with the hybrid-vsock socket of a local guest."""


def load_config(
    config_file: Path | None, cmdline: str, environ: Mapping[str, str]
) -> tuple[Config, list[str]]:
    """Return the configuration, and one warning for each value that was refused.

    `config_file` is the argument of `--config`, `cmdline` the text of
    `/proc/cmdline`. Raises `ConfigFileError` for a bad `config_file`.
    """
    if config_file is not None:
        config, warnings = read_config_file(config_file, Config())
    else:
        config, warnings = _from_cmdline(cmdline)
    for name, option in VARIABLES.items():
        if name not in environ:
            continue
        try:
            config = config._replace(**OPTIONS[option](environ[name]))
        except ValueError as error:
            warnings.append(f"environment: {name}: {error}")
    config = config._replace(**_local_socket(environ))
    if config.devmode and config.log_level != "trace":
        config = config._replace(log_level="debug")
    return config, warnings


def _from_cmdline(cmdline: str) -> tuple[Config, list[str]]:
    named = find_config_file(cmdline)
    if named is None:
        return parse_cmdline(cmdline, Config())
    try:
        return read_config_file(Path(named), Config())
    except ConfigFileError as error:
        config, warnings = parse_cmdline(cmdline, Config())
        return config, [str(error), *warnings]


def _local_socket(environ: Mapping[str, str]) -> Changes:
    path = environ.get(LOCAL_SOCKET, "")
    return {"local_socket": Path(path)} if path else {}
