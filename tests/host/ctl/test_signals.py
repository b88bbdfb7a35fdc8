# SPDX-License-Identifier: Apache-2.0
"""Event loops that a signal ends, each in a program of its own."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from kata_host.ctl.signals import run

PROGRAM = """
import asyncio, os, signal, sys
from kata_host.ctl.signals import run
from kata_host.interrupted import Interrupted
from kata_host.interruption import INTERRUPTION

async def work():
    try:
        os.kill(os.getpid(), int(sys.argv[1]))
        await asyncio.Event().wait()
    finally:
        # A second signal does not interrupt this.
        os.kill(os.getpid(), int(sys.argv[1]))
        await asyncio.sleep(0.01)
        print("released", flush=True)

INTERRUPTION.install()
try:
    run(work())
except Interrupted as interrupted:
    print(interrupted.number.name)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_work_after_it_has_released_all(
    number: signal.Signals,
) -> None:
    program = [sys.executable, "-c", PROGRAM, str(int(number))]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=20)
    assert (ran.stdout, ran.stderr) == (f"released\n{number.name}\n", "")


def test_a_result_and_an_error_are_those_of_the_work() -> None:
    async def result() -> int:
        return 7

    async def cancelled() -> None:
        raise asyncio.CancelledError

    assert run(result()) == 7
    with pytest.raises(asyncio.CancelledError):
        run(cancelled())
