# SPDX-License-Identifier: Apache-2.0
"""Large blocks stay with the heap after they are freed, until it is trimmed; threads
share one heap."""

from __future__ import annotations

import subprocess
import sys

from tests.helpers.heaps import count_further_heaps

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
TRIMMED = """
from kata_agent.linux.malloc import keep_large_blocks, trim_heap

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

keep_large_blocks(2 << 20, 64 << 20)
blocks = [bytearray(b"x" * (1 << 16)) for _ in range(200)]
del blocks
before = resident()
trim_heap()
print(before - resident())
"""
THREADS = """
import sys
import threading
from kata_agent.linux.malloc import share_one_heap
if {share}:
    share_one_heap()
filled = threading.Barrier({count} + 1)

def fill():
    kept = [bytearray(1 << 16) for _ in range(8)]
    filled.wait()
    filled.wait()

for _ in range({count}):
    threading.Thread(target=fill).start()
filled.wait()
print("filled", flush=True)
sys.stdin.read()
filled.wait()
"""


def faults(*, keep: bool) -> int:
    """Return the page faults of 100 blocks of 1 MiB, one after the other."""
    command = [sys.executable, "-c", PROGRAM.format(keep=keep)]
    return int(subprocess.check_output(command))


def test_blocks_that_are_kept_cost_no_new_pages() -> None:
    assert faults(keep=True) * 10 < faults(keep=False)


def test_a_heap_is_trimmed() -> None:
    freed = int(subprocess.check_output([sys.executable, "-c", TRIMMED]))
    assert freed > 100 << 16


def further_heaps(*, share: bool) -> int:
    """Return the heaps of a process in which four threads have memory."""
    command = [sys.executable, "-c", THREADS.format(share=share, count=4)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"filled\n"
        return count_further_heaps(process.pid)


def test_threads_share_one_heap() -> None:
    assert further_heaps(share=False) == 4
    assert further_heaps(share=True) == 0
