# SPDX-License-Identifier: Apache-2.0
"""Large blocks stay with the heap after they are freed."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource
from kata_agent.linux.malloc import keep_large_blocks
if {keep}:
    keep_large_blocks(2 << 20, 4 << 20)
bytearray(1 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    bytearray(1 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*, keep: bool) -> int:
    """Return the page faults of 100 blocks of 1 MiB, one after the other."""
    command = [sys.executable, "-c", PROGRAM.format(keep=keep)]
    return int(subprocess.check_output(command))


def test_blocks_that_are_kept_cost_no_new_pages() -> None:
    assert faults(keep=True) * 10 < faults(keep=False)
