# SPDX-License-Identifier: Apache-2.0
"""Children of the test process, with real pidfds."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from kata_agent.child import Child, to_exit_code
from kata_agent.exit_watch import ExitWatch
from kata_agent.linux.spawn import Command
from kata_agent.reaper import Reaper


@pytest.fixture
async def reaper() -> Iterator[Reaper]:
    with Reaper() as reaper:
        yield reaper


@pytest.mark.parametrize("code", [0, 1, 125, 255])
async def test_the_status_of_an_exit_is_the_exit_code(
    reaper: Reaper, code: int
) -> None:
    child = reaper.spawn(Command(["sh", "-c", f"exit {code}"]))
    assert await child.wait() == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
async def test_a_deadly_signal_is_an_exit_code_above_128(
    reaper: Reaper, number: int
) -> None:
    child = reaper.spawn(Command(["sleep", "1000"]))
    assert child.exit_code is None
    child.send_signal(number)
    assert await child.wait() == child.exit_code == 128 + number
    with pytest.raises(ProcessLookupError, match=f"process {child.pid} has ended"):
        child.send_signal(number)


async def test_a_waiter_that_leaves_takes_nothing_from_the_others(
    reaper: Reaper,
) -> None:
    child = reaper.spawn(Command(["sleep", "1000"]))
    leaving, staying = (asyncio.create_task(child.wait()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    child.send_signal(signal.SIGTERM)
    assert await staying == 143
    assert await child.wait() == 143


async def test_the_exit_is_reported_to_a_callback(reaper: Reaper) -> None:
    child = reaper.spawn(Command(["sh", "-c", "exit 7"]))
    codes: asyncio.Queue[int] = asyncio.Queue()
    child.on_exit(codes.put_nowait)
    assert await codes.get() == 7
    # Also to one that is added after the exit.
    child.on_exit(codes.put_nowait)
    assert await codes.get() == 7


async def test_a_waiter_that_comes_late_is_served_after_the_callbacks(
    reaper: Reaper,
) -> None:
    child = reaper.spawn(Command(["true"]))
    codes: list[int] = []
    child.on_exit(codes.append)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.poll()
    assert (child.exit_code, codes) == (0, [])
    assert await child.wait() == 0
    assert codes == [0]


async def test_an_abandoned_child_is_no_longer_watched() -> None:
    exits = ExitWatch()
    pid = os.posix_spawnp("sleep", ["sleep", "1000"], os.environ)
    reaped: list[Child] = []
    child = Child(pid, os.pidfd_open(pid), exits, reaped.append)
    waiting = asyncio.create_task(child.wait())
    await asyncio.sleep(0)
    child.abandon()
    assert reaped == [child]
    with pytest.raises(asyncio.CancelledError):
        await waiting
    os.kill(pid, signal.SIGKILL)
    assert to_exit_code(os.waitid(os.P_PID, pid, os.WEXITED)) == 137
    exits.close()


async def test_a_leader_that_fails_has_ended_with_its_whole_group(
    reaper: Reaper,
) -> None:
    """What is killed may still make a cgroup, for example, until it has ended."""
    script = "i=0; while [ $i -lt 50 ]; do sleep 1000 & i=$((i + 1)); done; exit 1"
    child = reaper.spawn(Command(["sh", "-c", script], new_session=True))
    assert await child.wait_or_kill() == 1
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)
