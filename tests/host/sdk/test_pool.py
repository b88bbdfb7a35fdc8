# SPDX-License-Identifier: Apache-2.0
"""Guests that start when they may; tests/e2e/test_sdk_pool.py has real ones."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from kata_host import Guest, Pool
from kata_host.guest.guest import GuestError
from ttrpc.errors import Closed


class FakeGuest:
    """A guest in the pool of `guests`."""

    def __init__(self, guests: Guests) -> None:
        self.guests = guests
        self.client = self
        self.is_well = True
        self.is_stopped = False
        self.is_warm = False

    def prefer_warm(self) -> FakeGuest:
        self.is_warm = True
        return self

    async def start(self) -> FakeGuest:
        self.guests.starting += 1
        try:
            await self.guests.may_start.wait()
        except asyncio.CancelledError:
            self.is_stopped = True
            raise
        if self.guests.failures:
            self.guests.failures -= 1
            self.is_stopped = True
            raise GuestError("no")
        return self

    async def stop(self) -> None:
        await asyncio.sleep(0)
        self.is_stopped = True

    async def check(self, timeout: float) -> None:
        if not self.is_well:
            raise Closed("gone")


class Guests:
    """All guests that a pool has made."""

    def __init__(self) -> None:
        self.made: list[FakeGuest] = []
        self.starting = 0
        self.failures = 0
        self.may_start = asyncio.Event()
        self.may_start.set()

    def make(self) -> Guest:
        self.made.append(FakeGuest(self))
        return cast(Guest, self.made[-1])

    @property
    def alive(self) -> int:
        return sum(not guest.is_stopped for guest in self.made)


@pytest.fixture
async def guests() -> Guests:
    return Guests()


async def test_guests_are_warm_if_their_maker_does_not_say(guests: Guests) -> None:
    async with Pool(2, guests.make) as pool, pool.guest():
        assert all(guest.is_warm for guest in guests.made)


async def test_guests_are_kept_ready_used_once_and_replaced(guests: Guests) -> None:
    used: list[Any] = []
    async with Pool(3, guests.make) as pool:
        for _ in range(7):
            async with pool.guest() as guest:
                used.append(guest)
                assert guests.alive <= 3
    assert len({*map(id, used)}) == 7
    assert not guests.alive


async def test_no_more_than_the_size_are_in_use(guests: Guests) -> None:
    in_use = most = 0
    async with Pool(3, guests.make) as pool:

        async def use() -> None:
            nonlocal in_use, most
            async with pool.guest():
                in_use += 1
                most = max(most, in_use)
                await asyncio.sleep(0.001)
                in_use -= 1

        await asyncio.gather(*(use() for _ in range(20)))
    assert most == 3
    assert not guests.alive


async def test_a_guest_that_cannot_start_is_the_error_of_one_caller(
    guests: Guests,
) -> None:
    guests.failures = 2
    results = []
    async with Pool(2, guests.make) as pool:
        for _ in range(5):
            try:
                async with pool.guest():
                    results.append("good")
            except GuestError:
                results.append("bad")
    assert sorted(results) == ["bad"] * 2 + ["good"] * 3


async def test_a_guest_that_has_ended_while_it_was_kept_is_not_used(
    guests: Guests,
) -> None:
    async with Pool(1, guests.make) as pool:
        async with pool.guest() as first:
            pass
        while len(guests.made) < 2:
            await asyncio.sleep(0)
        guests.made[1].is_well = False
        async with pool.guest() as guest:
            assert cast(Any, guest) is guests.made[2]
        assert cast(Any, first) is guests.made[0]
    assert not guests.alive


async def test_the_end_stops_guests_that_start_and_that_are_in_use(
    guests: Guests,
) -> None:
    async with Pool(2, guests.make) as pool:
        holding = pool.guest()
        await holding.__aenter__()
        guests.may_start.clear()
        async with pool.guest():
            pass
        while guests.starting < 3:
            await asyncio.sleep(0)
    assert not guests.alive
    await holding.__aexit__(None, None, None)
    assert len(guests.made) == 3
    with pytest.raises(RuntimeError, match="not open"):
        await pool.guest().__aenter__()


async def test_callers_that_wait_are_told_of_the_end(guests: Guests) -> None:
    guests.may_start.clear()
    async with Pool(2, guests.make) as pool:
        waiting = [asyncio.create_task(pool.guest().__aenter__()) for _ in range(5)]
        await asyncio.sleep(0)
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(error) for error in errors} == {
        "pool: not open; enter `async with` first"
    }
    assert not guests.alive


@pytest.mark.parametrize("size", [0, -1])
def test_a_pool_has_a_guest(size: int) -> None:
    with pytest.raises(ValueError, match="pool of"):
        Pool(size, Guest.local)
