# SPDX-License-Identifier: Apache-2.0
"""The network `user` of a VM, in a network of the test's own that leads nowhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.outside_network import (
    ADDRESS,
    CONTENT,
    LOOPBACK_PORT,
    NAME,
    PORT,
    outside_network,
    require_slirp,
)

pytestmark = [pytest.mark.vm, pytest.mark.slow]
PATIENCE = 120
PROGRAM = f"""
from kata_host.sync import Guest

with Guest.vm(network="user") as guest:
    print(guest.run(["cat", "/etc/resolv.conf"]).text, end="")
    print(guest.run(["wget", "-qO-", "http://{NAME}:{PORT}/"]).check().text)
    for address in ["10.0.2.2", "10.0.2.3", "{ADDRESS}"]:
        hidden = guest.run(["wget", "-qO-", f"http://{{address}}:{LOOPBACK_PORT}/"])
        print(hidden.status, hidden.text)
"""


@pytest.mark.usefixtures("image")
def test_commands_in_a_vm_reach_by_name_what_the_host_reaches(tmp_path: Path) -> None:
    require_slirp()
    with outside_network(tmp_path) as outside:
        done = subprocess.run(
            outside.command(sys.executable, "-c", PROGRAM),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        # What listens on the host's loopback alone is out of reach.
        hidden = "1 \n" * 3
        assert done.stdout == f"nameserver 10.0.2.3\n{CONTENT}\n{hidden}", done.stderr
        assert not outside.processes()
