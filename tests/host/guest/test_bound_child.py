# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import select
import subprocess
import sys

from kata_host.guest.bound_child import spawn_bound

PROGRAM = """
import signal, sys
from kata_host.guest.bound_child import spawn_bound
child = spawn_bound(["sleep", "1000"])
print(child.pid, flush=True)
signal.pause()
"""


def test_it_has_the_words_and_streams_that_it_was_given() -> None:
    with spawn_bound(["echo", "a b", "$0"], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.read() == b"a b $0\n"
    assert child.returncode == 0


def test_it_ends_with_its_parent_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pidfd = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    assert select.select([pidfd], [], [], 60)[0]
    os.close(pidfd)
