# SPDX-License-Identifier: Apache-2.0
"""Streams and signals of one process; tests/e2e/test_signals.py has a real one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from kata_host.client import AgentClient, GuestContainer
from kata_host.ctl import attachment as module
from kata_host.ctl.attachment import attach
from kata_host.stream_error import StreamError
from tests.helpers.fake_agent import FakeAgent


@pytest.fixture
async def container(address: str) -> AsyncIterator[GuestContainer]:
    async with AgentClient.connect(address) as client:
        yield client.container("c1")


async def test_output_and_status_are_the_processes(
    agent: FakeAgent, container: GuestContainer, capfd: pytest.CaptureFixture[str]
) -> None:
    agent.stdout = [b"one\n", b"two\n"]
    status = await attach(container.init, container.kill, stdin=False, tty=False)
    assert (status, capfd.readouterr().out) == (7, "one\ntwo\n")
    assert agent.names() == ["CloseStdin", "WaitProcess"]


async def test_input_is_passed_on_to_its_end(
    agent: FakeAgent, container: GuestContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(module, "STDIN", reader)
    agent.may_end.clear()
    attached = asyncio.create_task(
        attach(container.init, container.kill, stdin=True, tty=False)
    )
    os.write(writer, b"hello")
    assert (await agent.received("WriteStream")).data == b"hello"
    os.close(writer)
    await agent.received("CloseStdin")
    agent.may_end.set()
    assert await attached == 7
    os.close(reader)


async def test_the_agent_makes_the_end_of_input_for_a_terminal(
    agent: FakeAgent, container: GuestContainer
) -> None:
    # The input of a test is /dev/null.
    agent.may_end.clear()
    attached = asyncio.create_task(
        attach(container.init, container.kill, stdin=True, tty=True)
    )
    await agent.received("CloseStdin")
    agent.may_end.set()
    assert await attached == 7
    assert "WriteStream" not in agent.names()


async def test_signals_are_passed_on_and_the_second_interrupt_kills(
    agent: FakeAgent, container: GuestContainer
) -> None:
    before = signal.getsignal(signal.SIGINT)
    agent.may_end.clear()
    attached = asyncio.create_task(
        attach(container.init, container.kill, stdin=False, tty=False)
    )
    await agent.received("WaitProcess")
    for number in (signal.SIGUSR1, signal.SIGINT):
        os.kill(os.getpid(), number)
        request = await agent.received("SignalProcess")
        assert (request.signal, request.exec_id) == (number, "c1")
    os.kill(os.getpid(), signal.SIGINT)
    request = await agent.received("SignalProcess")
    assert (request.signal, request.exec_id) == (signal.SIGKILL, "")
    agent.may_end.set()
    assert await attached == 7
    assert signal.getsignal(signal.SIGINT) is before


async def test_output_without_a_reader_kills_the_process(
    agent: FakeAgent, container: GuestContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(module, "STDOUT", writer)
    os.close(reader)
    agent.stdout = [b"lost"]
    status = await attach(container.init, container.kill, stdin=False, tty=False)
    assert status == 128 + signal.SIGPIPE
    assert (await agent.received("SignalProcess")).signal == signal.SIGKILL
    os.close(writer)


async def test_output_that_finds_no_room_kills_the_process_and_is_said(
    agent: FakeAgent, container: GuestContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(module, "STDOUT", full)
    agent.stdout = [b"lost"]
    with pytest.raises(StreamError, match="No space left on device"):
        await attach(container.init, container.kill, stdin=False, tty=False)
    assert (await agent.received("SignalProcess")).signal == signal.SIGKILL
    os.close(full)


async def test_the_process_has_the_end_of_an_input_that_cannot_be_read(
    agent: FakeAgent, container: GuestContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = os.open("/", os.O_RDONLY)
    monkeypatch.setattr(module, "STDIN", directory)
    agent.may_end.clear()
    attached = asyncio.create_task(
        attach(container.init, container.kill, stdin=True, tty=False)
    )
    await agent.received("CloseStdin")
    agent.may_end.set()
    with pytest.raises(StreamError, match="Is a directory"):
        await attached
    os.close(directory)
