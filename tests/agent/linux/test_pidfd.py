# SPDX-License-Identifier: Apache-2.0
"""A process that has ended is no process, whatever the kernel calls it."""

from __future__ import annotations

import os
import select
import subprocess

import pytest

from kata_agent.linux.pidfd import open_pidfd


def test_a_descriptor_is_readable_when_its_process_ends() -> None:
    process = subprocess.Popen(["sleep", "60"])
    descriptor = open_pidfd(process.pid)
    assert not select.select([descriptor], [], [], 0)[0]
    process.kill()
    assert select.select([descriptor], [], [], 10)[0]
    os.close(descriptor)
    process.wait()


def test_a_reaped_process_is_not_there() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(ProcessLookupError):
        open_pidfd(process.pid)
