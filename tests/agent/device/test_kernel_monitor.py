# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes.util

import pytest

from kata_agent.device.kernel_monitor import KernelMonitor


def test_the_monitor_opens_without_any_program_s_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tests in VMs plug devices in and out."""

    def search(name: str) -> None:
        raise AssertionError(f"searched for lib{name}")

    monkeypatch.setattr(ctypes.util, "find_library", search)
    monitor = KernelMonitor()
    assert monitor.fileno() > 0
    event = monitor.receive()
    assert event is None or event.devpath.startswith("/")
