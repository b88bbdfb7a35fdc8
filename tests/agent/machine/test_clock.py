# SPDX-License-Identifier: Apache-2.0
"""Times that are refused; the tests in VMs set the clock."""

from __future__ import annotations

import os
import time

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.linux.namespace import unshare
from kata_agent.machine.clock import set_time
from tests.helpers.namespace import require_root, run_in_namespaces

CLONE_NEWUSER = 0x10000000
"""linux/sched.h"""


@pytest.mark.parametrize(
    ("seconds", "microseconds"),
    [(-1, 0), (0, -1), (0, 1_000_000), (2**63 - 1, 0), (-(2**63), 0)],
)
def test_a_time_out_of_range_is_refused(seconds: int, microseconds: int) -> None:
    with pytest.raises(InvalidArgument, match=f"time {seconds} s"):
        set_time(seconds, microseconds)


@pytest.mark.root
def test_without_the_capability_the_kernel_refuses() -> None:
    require_root()

    def body() -> None:
        # The new user namespace has no say over the machine's clock.
        unshare(CLONE_NEWUSER)
        assert os.getuid() != 0
        with pytest.raises(PermissionError):
            set_time(int(time.time()), 0)

    run_in_namespaces("v2", body)
