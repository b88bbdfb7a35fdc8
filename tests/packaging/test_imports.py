# SPDX-License-Identifier: Apache-2.0
"""The heavy dependencies are imported when they are needed, and never before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import Environment

HEAVY = (
    *("pyudev", "opentelemetry.sdk", "prometheus_client"),
    *("jaeger_client", "tornado", "thrift"),
)


def modules_after(program: str, python: str | Path = sys.executable) -> set[str]:
    """Return the modules that are loaded when `program` has run."""
    script = (
        f"import sys\ntry:\n    {program}\nexcept SystemExit:\n    pass\n"
        "print('loaded', *sys.modules)"
    )
    done = subprocess.run(
        [python, "-P", "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "program",
    [
        "import kata_host",
        "from kata_host import Guest, Limits",
        "from kata_host.client import AgentClient",
        "import kata_agent.main",
        "sys.argv[1:] = ['--help']; import kata_host.ctl.__main__ as p; p.main()",
        "sys.argv[1:] = ['--version']; import kata_agent.__main__ as p; p.main()",
        *(
            f"import kata_host.ctl.{verb}"
            for verb in ("call", "cp", "exec", "guest", "logs", "ps", "run", "shell")
        ),
    ],
)
def test_a_program_starts_without_what_is_heavy(program: str) -> None:
    loaded = modules_after(program)
    assert {"kata_host", "kata_agent"} & loaded
    assert not [
        name
        for name in loaded
        if any(name == heavy or name.startswith(f"{heavy}.") for heavy in HEAVY)
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_jaeger_encoding_names_the_extra_that_it_needs(
    installed: Environment,
) -> None:
    """The wheels alone do not bring jaeger-client."""
    script = (
        "from kata_tracing.encoding.load_encoding import load_encoding\n"
        "load_encoding('jaeger')"
    )
    done = subprocess.run(
        [installed.python, "-P", "-c", script], capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1].endswith(
        "trace encoding 'jaeger': jaeger-client is not installed "
        "(pip install 'kata-agent[jaeger]')"
    )


def test_the_package_alone_loads_nothing_of_ours_but_the_version() -> None:
    """Every program of ours imports it, the vsock backend of a VM for example."""
    loaded = modules_after("import kata_host")
    ours = ("kata_", "ttrpc", "google", "asyncio")
    assert {name for name in loaded if name.startswith(ours)} == {
        *("kata_host", "kata_agent", "kata_agent.version")
    }
