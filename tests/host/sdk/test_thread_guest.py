# SPDX-License-Identifier: Apache-2.0
"""The order of things; tests/e2e/test_sdk.py has real guests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kata_host.guest.guest import GuestError
from kata_host.sdk.thread_guest import ThreadGuest


class OwnGuest:
    """Starts when it may, and keeps what was done to it, in which thread."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.threads: set[int] = set()
        self.begun = threading.Event()
        self.may_start = threading.Event()
        self.may_start.set()
        self.is_given_up = False
        self.socket = Path("/x")
        self.address = "unix:///x"

    def _note(self, word: str) -> None:
        self.done.append(word)
        self.threads.add(threading.get_ident())

    def start(self) -> None:
        self._note("start")
        self.begun.set()
        self.may_start.wait()
        if self.is_given_up:
            raise GuestError("given up")

    def give_up(self) -> None:
        self.is_given_up = True
        self.may_start.set()

    def ending(self, timeout: float = 0) -> str | None:
        self._note("ending")
        return "powered off" if timeout else None

    def console_tail(self, lines: int = 20) -> Sequence[str]:
        return ["one", "two"][-lines:]

    def stop(self) -> None:
        self._note("stop")

    def __enter__(self) -> OwnGuest:
        raise NotImplementedError

    def __exit__(self, *exc_info: object) -> None:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def held(guest: Any) -> ThreadGuest:
    return ThreadGuest(lambda: guest)


async def test_one_other_thread_does_all_in_turn() -> None:
    guest = OwnGuest()
    holder = held(guest)
    assert await holder.start() == "unix:///x"
    assert await holder.ending() is None
    assert await holder.ending(1) == "powered off: two"
    await holder.stop()
    assert guest.done == ["start", "ending", "ending", "stop"]
    assert len(guest.threads) == 1
    assert threading.get_ident() not in guest.threads


async def test_the_loop_goes_on_while_a_guest_starts() -> None:
    guest = OwnGuest()
    guest.may_start.clear()
    holder = held(guest)
    starting = asyncio.create_task(holder.start())
    await asyncio.to_thread(guest.begun.wait)
    guest.may_start.set()
    await starting
    await holder.stop()


async def test_a_start_that_is_cancelled_leaves_nothing() -> None:
    guest = OwnGuest()
    guest.may_start.clear()
    starting = asyncio.create_task(held(guest).start())
    await asyncio.to_thread(guest.begun.wait)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert guest.is_given_up
    assert guest.done == ["start", "stop"]


async def test_a_caller_does_not_wait_for_an_image_that_is_built() -> None:
    guest = OwnGuest()
    building, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def make() -> Any:
        building.set()
        may_end.wait()
        ended.set()
        return guest

    starting = asyncio.create_task(ThreadGuest(make).start())
    await asyncio.to_thread(building.wait)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    may_end.set()
    await asyncio.to_thread(ended.wait)
    assert not guest.done


async def test_a_start_that_fails_is_stopped() -> None:
    guest = OwnGuest()
    guest.give_up()
    with pytest.raises(GuestError, match="given up"):
        await held(guest).start()
    assert guest.done == ["start", "stop"]


async def test_a_guest_that_was_stopped_says_so() -> None:
    held = ThreadGuest(OwnGuest)
    await held.start()
    await held.stop()
    assert await held.ending(1) == "stopped"
