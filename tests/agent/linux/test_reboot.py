# SPDX-License-Identifier: Apache-2.0
"""The end of a machine, tried where its machine is a pid namespace."""

from __future__ import annotations

import signal
import subprocess
import sys

from kata_agent.linux.reboot import RB_POWER_OFF
from tests.helpers.namespace import require_root

PROGRAM = f"""
from kata_agent.linux.reboot import reboot
reboot({RB_POWER_OFF})
"""


def test_a_power_off_in_a_pid_namespace_ends_its_pid_1() -> None:
    """PID 1 ends by SIGINT (man 2 reboot, "Behavior inside PID namespaces")."""
    require_root()
    # The shell is PID 1, so that the program that calls is another process.
    command = ["unshare", "--pid", "--fork", "--kill-child", "sh", "-c"]
    shell = f"{sys.executable} -c '{PROGRAM}'; exit 3"
    done = subprocess.run([*command, shell], timeout=30)
    assert done.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
