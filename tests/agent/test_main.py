# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

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
"""Milliseconds and MiB each; for later, or for other programs (CONTRIBUTING.md)."""


def test_a_start_loads_nothing_heavy() -> None:
    program = (
        "import sys, kata_agent.__main__, kata_agent.main\n"
        f"print([name for name in {HEAVY} if sys.modules.get(name)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
