# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextvars
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kata_host.sync.loop_thread import LoopThread

INTERRUPTED = """
import asyncio, os, signal
from kata_host.sync.loop_thread import LOOP

async def work():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(1000)
    finally:
        await asyncio.sleep(0)
        print("released", flush=True)

try:
    LOOP.wait(work())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""

FORKED = """
import asyncio, os
from kata_host.sync.loop_thread import LOOP

LOOP.wait(asyncio.sleep(0))
child = os.fork()
if not child:
    os._exit(LOOP.wait(asyncio.sleep(0, result=7)))
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), LOOP.wait(asyncio.sleep(0, result=8)))
"""


async def number() -> int:
    await asyncio.sleep(0)
    return threading.get_ident()


def test_one_other_thread_does_the_work_of_all() -> None:
    loop = LoopThread()
    with ThreadPoolExecutor(4) as threads:
        found = {*threads.map(lambda _: loop.wait(number()), range(20))}
    assert len(found) == 1
    assert threading.get_ident() not in found


def test_an_error_is_the_callers() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        LoopThread().wait(fail())


async def test_a_caller_in_another_loop_may_wait() -> None:
    """As in a notebook, whose cells run in an event loop."""
    assert LoopThread().wait(number()) != threading.get_ident()


def test_the_loops_own_thread_does_not_wait_for_itself() -> None:
    loop = LoopThread()

    async def nested() -> None:
        loop.wait(number())

    with pytest.raises(RuntimeError, match="in its own event loop"):
        loop.wait(nested())


def test_the_callers_context_is_that_of_the_work() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("here")

    async def read() -> str:
        return variable.get()

    assert LoopThread().wait(read()) == "here"


def test_work_that_is_interrupted_releases_what_it_holds() -> None:
    command = (sys.executable, "-c", INTERRUPTED)
    ran = subprocess.run(
        ["env", f"--default-signal={signal.SIGINT.name}", *command],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.stdout, ran.stderr) == ("released\ninterrupted\n", "")


def test_a_forked_process_has_a_thread_of_its_own() -> None:
    command = [sys.executable, "-c", FORKED]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stdout == b"7 8\n"
