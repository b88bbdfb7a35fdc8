# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal

from kata_host.guest.wait_status import describe


def status_of(*words: str) -> int:
    pid = os.posix_spawn("/bin/sh", ["sh", *words], os.environ)
    return os.waitpid(pid, 0)[1]


def test_an_exit_has_its_number_and_a_signal_its_name() -> None:
    assert describe(status_of("-c", "exit 5")) == "exit status 5"
    assert describe(status_of("-c", "kill -TERM $$")) == signal.SIGTERM.name
