# SPDX-License-Identifier: Apache-2.0
"""The program `kata-agent`: its command line, and the modules that a start loads.

Guests that serve are in tests/agent/rpc, tests/e2e and tests/vm.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kata_agent.version import VERSION
from tests.helpers.interrupting import check_interrupts

HEAVY = (
    "_hashlib",
    "argparse",
    "opentelemetry",
    "prometheus_client",
    "pyudev",
    "ssl",
    "ttrpc.aio.client",
    "kata_tracing.trace_port",
)
"""Milliseconds and MiB each; loaded later, or by other programs (CONTRIBUTING.md)."""


def test_a_start_loads_nothing_heavy() -> None:
    program = (
        "import sys, kata_agent.__main__, kata_agent.main\n"
        f"print([name for name in {HEAVY} if sys.modules.get(name)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def agent(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kata_agent", *arguments], capture_output=True, text=True
    )


def test_the_version_and_the_usage() -> None:
    assert agent("--version").stdout == f"kata-agent {VERSION}\n"
    done = agent("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: kata-agent ")


@pytest.mark.parametrize(
    ("argument", "error"),
    [
        ("--nope", "kata-agent: invalid option '--nope'\n"),
        ("--listen", "kata-agent: option '--listen': no value\n"),
        ("-c", "kata-agent: option '-c': no value\n"),
    ],
)
def test_wrong_usage_is_status_2(argument: str, error: str) -> None:
    done = agent(argument)
    assert done.returncode == 2
    assert done.stderr.startswith(error)


def test_a_bad_config_file_is_status_2(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("log_level = ")
    done = agent("--config", str(file))
    assert done.returncode == 2
    assert done.stderr.startswith(f"kata-agent: {file}: ")


def test_an_invalid_address_is_status_1_and_in_the_log() -> None:
    done = agent("--listen=nowhere")
    assert done.returncode == 1
    assert "cannot serve" in done.stdout
    assert "nowhere" in done.stdout


def test_an_interrupt_of_its_start_or_its_end_prints_no_traceback() -> None:
    check_interrupts("kata_agent.__main__", ["--listen=no"], 1)
