# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.guest.guest import GuestError
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord, ContainerState
from kata_host.keeper.records import read
from kata_host.keeper.spawn import let_go, spawned_keeper


def test_a_keeper_that_was_killed_is_told(guest_one: str, address: str) -> None:
    held = HeldRecord.create(ContainerRecord("c1", "one"))
    with spawned_keeper(held, address) as keeper:
        keeper.kill()
        with pytest.raises(GuestError, match="container 'c1': its keeper was killed"):
            let_go(keeper, "c1")
        keeper.wait()


def test_a_block_that_fails_ends_the_keeper_and_keeps_the_lock(
    guest_one: str, address: str
) -> None:
    held = HeldRecord.create(ContainerRecord("c1", "one", started=1.0))
    with pytest.raises(KeyError):
        with spawned_keeper(held, address) as keeper:
            raise KeyError
    assert keeper.returncode is not None
    assert read("one", "c1") == (held.record, ContainerState.RUNNING)
