# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import asyncio
import signal

import pytest

from kata_host.ctl.kill import signal_number
from kata_host.ctl.program import main
from tests.helpers.fake_agent import FakeAgent


@pytest.mark.parametrize("word", ["TERM", "sigterm", "15"])
def test_a_signal_has_a_name_or_a_number(word: str) -> None:
    assert signal_number(word) == signal.SIGTERM


@pytest.mark.parametrize("word", ["", "0", "65", "-1", "NOPE", "999", "٣"])
def test_no_signal(word: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="unknown"):
        signal_number(word)


async def test_a_signal_goes_to_the_first_process_and_kill_to_all(
    agent: FakeAgent, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["kill", "--guest", address]
    assert await asyncio.to_thread(main, [*command, "-s", "HUP", "c1"]) == 0
    assert await asyncio.to_thread(main, [*command, "c1"]) == 0
    first, second = agent.requests
    assert (first.exec_id, first.signal) == ("c1", signal.SIGHUP)
    assert (second.exec_id, second.signal) == ("", signal.SIGKILL)
    assert capsys.readouterr().out == "c1\nc1\n"
