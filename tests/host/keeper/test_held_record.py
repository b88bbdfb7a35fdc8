# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import resource
import signal

import pytest

from kata_host.guest.guest import GuestError
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord, ContainerState
from kata_host.keeper.records import folder_of, parse_open, read


def test_a_record_is_held_until_it_is_closed(guest_one: str) -> None:
    held = HeldRecord.create(ContainerRecord("c1", "one", command=["x" * 500]))
    found = read("one", "c1")
    assert found == (held.record, ContainerState.CREATED)
    held.write(started=5.0, command=["y"])
    assert read("one", "c1") == (held.record, ContainerState.RUNNING)
    assert parse_open(held.fd) == held.record
    assert read("one", "c1") == (held.record, ContainerState.RUNNING)
    held.close()
    assert read("one", "c1") == (held.record, ContainerState.LOST)


def test_a_record_without_room_leaves_no_name(guest_one: str) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        with pytest.raises(OSError, match="File too large"):
            HeldRecord.create(ContainerRecord("c1", "one"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(folder_of("one", "c1").parent) == []
    HeldRecord.create(ContainerRecord("c1", "one")).close()


def test_a_name_is_taken_once(guest_one: str) -> None:
    held = HeldRecord.create(ContainerRecord("c1", "one"))
    with pytest.raises(GuestError, match="container 'c1': already exists"):
        HeldRecord.create(ContainerRecord("c1", "one"))
    assert os.listdir(held.folder.parent) == ["c1"]
    held.remove()
    held.close()
    assert read("one", "c1") is None
    HeldRecord.create(ContainerRecord("c1", "one")).close()
