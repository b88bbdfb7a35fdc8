# SPDX-License-Identifier: Apache-2.0
"""Signals to programs of their own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
START = """
import os, signal, sys
from kata_host.interrupted import Interrupted
from kata_host.interruption import INTERRUPTION

number = signal.Signals(int(sys.argv[1]))

def send():
    os.kill(os.getpid(), number)

"""


def output(program: str, number: signal.Signals, *, ignored: bool = False) -> str:
    before = signal.signal(number, signal.SIG_IGN) if ignored else None
    try:
        ran = subprocess.run(
            [sys.executable, "-c", START + program, str(int(number))],
            capture_output=True,
            text=True,
            timeout=20,
        )
    finally:
        if ignored:
            signal.signal(number, before)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_is_raised_and_no_other(number: signal.Signals) -> None:
    program = """
INTERRUPTION.install()
try:
    send()
    print("not here")
except Interrupted as interrupted:
    send()
    with INTERRUPTION.uninterrupted():
        send()
    print(interrupted.number.name, INTERRUPTION.received.name)
"""
    assert output(program, number) == f"{number.name} {number.name}\n"


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_is_put_off_to_the_end_of_the_outermost_block(
    number: signal.Signals,
) -> None:
    program = """
INTERRUPTION.install()
try:
    with INTERRUPTION.uninterrupted():
        with INTERRUPTION.uninterrupted():
            send()
            print("inner")
        print("outer")
    print("not here")
except Interrupted:
    print("after")
"""
    assert output(program, number) == "inner\nouter\nafter\n"


@pytest.mark.parametrize("number", NUMBERS)
def test_an_action_takes_the_place_of_the_exception(number: signal.Signals) -> None:
    program = """
INTERRUPTION.install()
with INTERRUPTION.instead(lambda: print("outer")):
    with INTERRUPTION.instead(lambda: print("inner")):
        send()
        print("goes on")
"""
    assert output(program, number) == "inner\ngoes on\n"


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_that_the_starter_ignores_stays_ignored(
    number: signal.Signals,
) -> None:
    """As nohup does with SIGHUP, and a shell with SIGINT of what it runs beside."""
    program = """
INTERRUPTION.install()
send()
print("goes on")
"""
    assert output(program, number, ignored=True) == "goes on\n"


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_after_the_work_is_done_changes_nothing(
    number: signal.Signals,
) -> None:
    program = """
import atexit
INTERRUPTION.install()
INTERRUPTION.finish()
send()
atexit.register(send)
print("done")
"""
    assert output(program, number) == "done\n"


@pytest.mark.parametrize("number", NUMBERS)
def test_another_threads_block_puts_no_signal_off(number: signal.Signals) -> None:
    program = """
import threading
INTERRUPTION.install()
entered, left = threading.Event(), threading.Event()

def hold():
    with INTERRUPTION.uninterrupted():
        entered.set()
        left.wait()
    print("thread goes on")

thread = threading.Thread(target=hold)
thread.start()
entered.wait()
try:
    send()
except Interrupted:
    print("interrupted")
left.set()
thread.join()
"""
    assert output(program, number) == "interrupted\nthread goes on\n"
