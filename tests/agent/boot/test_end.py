# SPDX-License-Identifier: Apache-2.0
"""The end of PID 1 in a pid namespace, where the kernel kills PID 1 instead."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from kata_agent.boot import end
from kata_agent.boot.end import power_off
from kata_agent.linux.namespace import CLONE_NEWPID, unshare
from tests.helpers.namespace import require_root, run_in_namespaces


def end_of_an_inner_init() -> int:
    """Have PID 1 of a new pid namespace power off; return its wait status."""
    outer = os.readlink("/proc/self/ns/pid")
    unshare(CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        # Only in a pid namespace of the test, so that the machine stays on.
        if os.getpid() == 1 and os.readlink("/proc/thread-self/ns/pid") != outer:
            power_off()
        os._exit(77)
    return os.waitpid(child, 0)[1]


@pytest.mark.root
@pytest.mark.parametrize("sync_hangs", [False, True])
def test_the_machine_is_switched_off(
    monkeypatch: pytest.MonkeyPatch, sync_hangs: bool
) -> None:
    require_root()

    def body() -> None:
        # The test does not wait for the disks of this machine.
        monkeypatch.setattr(
            os, "sync", threading.Event().wait if sync_hangs else lambda: None
        )
        monkeypatch.setattr(end, "SYNC_SECONDS", 0.1)
        status = end_of_an_inner_init()
        # man 2 reboot, "Behavior inside PID namespaces": SIGINT for power-off.
        assert os.WIFSIGNALED(status)
        assert os.WTERMSIG(status) == signal.SIGINT

    run_in_namespaces("v2", body)
