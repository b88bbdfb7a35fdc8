# SPDX-License-Identifier: Apache-2.0
"""Backtraces on a signal."""

from __future__ import annotations

import asyncio
import threading

import pytest

from kata_agent.log.backtrace import answer_signal


async def wait_here(event: asyncio.Event) -> None:
    await event.wait()


async def test_every_task_and_thread(caplog: pytest.LogCaptureFixture) -> None:
    event, stop = asyncio.Event(), threading.Event()
    task = asyncio.create_task(wait_here(event), name="the task")
    thread = threading.Thread(target=stop.wait, name="the thread", daemon=True)
    thread.start()
    await asyncio.sleep(0)
    answer_signal(10, debug=True)
    stop.set()
    thread.join()
    event.set()
    await task
    found = {
        record.__dict__.get("task_name")
        or record.__dict__["thread_name"]: record.__dict__
        for record in caplog.records
    }
    assert "wait_here" in found["the task"]["frames"][-1]
    assert found["the thread"]["frames"][-1].endswith(" wait")
    assert "answer_signal" in str(found["MainThread"]["frames"])


def test_not_without_the_debug_flag(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    answer_signal(10, debug=False)
    assert caplog.messages == ["signal ignored"]
