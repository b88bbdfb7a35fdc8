# SPDX-License-Identifier: Apache-2.0
"""The reaper as PID 1 of a pid namespace, with real processes."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kata_agent import reaper as reaper_module
from kata_agent.cgroup.kill import send_kill
from kata_agent.errors import NotFound, Timeout
from kata_agent.linux.spawn import Command, spawn
from kata_agent.reaper import SWEEP, Reaper
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v1")
async def test_run_returns_status_and_both_outputs(world: World) -> None:
    with Reaper() as reaper:
        done = await reaper.run(
            ["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"x" * 100_000
        )
        assert (done.status, done.stdout, done.stderr) == (3, b"x" * 100_000, b"err\n")
        with pytest.raises(NotFound, match="program 'no-such-program': not found"):
            await reaper.run(["no-such-program"])
        with pytest.raises(
            Timeout, match="program 'sleep': still running after 0.05 s"
        ):
            await reaper.run(["sleep", "1000"], timeout=0.05)
        task = asyncio.create_task(reaper.run(["sleep", "1000"]))
        # The first step of the task starts the program.
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _wait_for_no_children()


async def _wait_for_no_children() -> None:
    deadline = time.monotonic() + 5
    while True:
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


@in_namespaces("v1")
async def test_an_exit_before_the_registration_is_not_lost(world: World) -> None:
    with Reaper() as reaper:
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 9"], {})
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert await reaper.adopt(pid).wait() == 9


@in_namespaces("v1")
async def test_an_orphan_is_reaped(world: World) -> None:
    with Reaper() as reaper:
        await reaper.run(["sh", "-c", "(sleep 0.05; exit 4) &"])
        await _wait_for_no_children()


@in_namespaces("v1")
async def test_orphans_that_end_at_once_are_reaped_in_turns_with_everything_else(
    world: World,
) -> None:
    with Reaper():
        left = 4 * SWEEP + 1
        _end_orphans(left)
        while left:
            # One turn of the loop.
            await asyncio.sleep(0)
            now = len(_children())
            assert left - now <= SWEEP
            left = now


@in_namespaces("v1")
async def test_a_crowd_is_reaped_at_a_pace_and_holds_up_neither_few_nor_programs(
    world: World,
) -> None:
    reaper_module.PAUSE = 3600.0  # type: ignore[misc]  # In a process of its own.
    with Reaper() as reaper:
        for _ in range(3):
            _end_orphans(SWEEP - 1)
            await _wait_for_no_children()
        _end_orphans(3 * SWEEP)
        assert (await reaper.run(["sh", "-c", "exit 3"])).status == 3
        assert len(_children()) == 2 * SWEEP


@in_namespaces("v1")
async def test_the_end_of_orphans_is_told_once_for_a_crowd(world: World) -> None:
    told: list[int] = []
    with Reaper() as reaper:
        reaper.on_orphans(lambda: told.append(len(_children())))
        assert (await reaper.run(["sh", "-c", "exit 3"])).status == 3
        assert told == []
        _end_orphans(2 * SWEEP + 1)
        await _wait_for_no_children()
        assert told == [0]
        # The next is noticed as ever.
        _end_orphans(1)
        await _wait_for_no_children()
        assert told == [0, 0]


def _end_orphans(count: int) -> None:
    """Have children that have ended and that no `Child` stands for."""
    for pid in [os.posix_spawn("/bin/true", ["true"], {}) for _ in range(count)]:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def _children() -> list[str]:
    return Path("/proc/self/task/1/children").read_text().split()


@in_namespaces("v1")
async def test_an_orphan_can_be_adopted_while_one_is_expected(world: World) -> None:
    with Reaper() as reaper:
        with reaper.expecting():
            done = await reaper.run(["sh", "-c", "(sleep 0.05; exit 4) & echo $!"])
            pid = int(done.stdout)
            await _wait_for_no_children()
            child = reaper.adopt(pid)
        assert await child.wait() == 4
        with pytest.raises(ProcessLookupError):
            reaper.adopt(pid)


@in_namespaces("v1")
async def test_a_hundred_programs_at_once_are_told_apart(world: World) -> None:
    with Reaper() as reaper:
        before = len(os.listdir("/proc/self/fd"))
        results = await asyncio.gather(
            *(
                reaper.run(["sh", "-c", f"sleep 0 & echo {n}; exit {n}"])
                for n in range(100)
            )
        )
        assert [r.status for r in results] == list(range(100))
        assert [r.stdout for r in results] == [b"%d\n" % n for n in range(100)]
        await _wait_for_no_children()
        assert len(os.listdir("/proc/self/fd")) == before


@in_namespaces("v1")
async def test_programs_get_a_clean_environment_and_signals(world: World) -> None:
    with Reaper() as reaper:
        os.environ["SECRET"] = "x"
        leak = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 4000)
        done = await reaper.run(
            ["sh", "-c", "env; grep Sig /proc/self/status; ls /proc/self/fd"]
        )
        assert b"SECRET" not in done.stdout
        masks = dict(re.findall(rb"(Sig...):\t([0-9a-f]{16})", done.stdout))
        assert int(masks[b"SigBlk"], 16) == 0
        # Python ignores these; a program must see a broken pipe.
        ignored = int(masks[b"SigIgn"], 16)
        assert not ignored & 1 << (signal.SIGPIPE - 1)
        assert not ignored & 1 << (signal.SIGXFSZ - 1)
        assert str(leak) not in done.stdout.decode().split()
        os.close(leak)


@in_namespaces("v1")
async def test_an_orphan_whose_session_goes_on_is_known_to_have_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels before 6.15 call such a pid an invalid argument."""
    file = Path("/run/pid")
    script = f"(setsid sh -c 'echo $$ >{file}; sleep 1000 & exit 5' &)"
    with Reaper() as reaper, reaper.expecting():
        await reaper.spawn(Command(["sh", "-c", script])).wait()
        async with asyncio.timeout(10):
            while not (file.exists() and file.read_text().endswith("\n")):
                await asyncio.sleep(0.001)
            # The number lives on in the session, but not as a process.
            while Path(f"/proc/{file.read_text().strip()}").exists():
                await asyncio.sleep(0.001)

        def refuse(pid: int, flags: int = 0) -> int:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

        monkeypatch.setattr(os, "pidfd_open", refuse)
        child = reaper.adopt(int(file.read_text()))
        assert await child.wait() == 5
        with pytest.raises(ProcessLookupError):
            reaper.adopt(1)


def test_killing_a_process_that_has_ended_is_fine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    send_kill([1])


async def test_a_child_that_cannot_be_watched_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(pid: int) -> int:
        raise OSError(errno.EMFILE, "full")

    monkeypatch.setattr("kata_agent.reaper.open_pidfd", fail)
    ended: list[int] = []
    real_kill = os.kill

    def kill(pid: int, number: int) -> None:
        ended.append(pid)
        real_kill(pid, number)

    monkeypatch.setattr(os, "kill", kill)
    with Reaper() as reaper:
        with pytest.raises(OSError, match="full"):
            reaper.spawn(Command(["sleep", "1000"]))
        with pytest.raises(OSError, match="full"):
            reaper.adopt(spawn(Command(["sleep", "1000"])))
        async with asyncio.timeout(10):
            while any(os.path.exists(f"/proc/{pid}") for pid in ended):
                await asyncio.sleep(0.01)
    assert len(ended) == 2


def test_who_no_longer_reaps_is_given_no_orphans() -> None:
    script = (
        "import asyncio, subprocess\n"
        "from pathlib import Path\n"
        "from kata_agent.reaper import Reaper\n"
        "async def main():\n"
        "    with Reaper():\n"
        "        pass\n"
        "    shell = ['sh', '-c', 'sleep 1000 >/dev/null & echo $!']\n"
        "    orphan = int(subprocess.check_output(shell))\n"
        "    status = Path(f'/proc/{orphan}/stat').read_text()\n"
        "    print(orphan, status.rpartition(')')[2].split()[1])\n"
        "asyncio.run(main())\n"
    )
    agent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    )
    said, _ = agent.communicate()
    orphan, parent = map(int, said.split())
    os.kill(orphan, signal.SIGKILL)
    assert parent != agent.pid
