# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse

import pytest

from kata_host.ctl.errors import CommandError
from kata_host.ctl.found_container import FoundContainer, find_container
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord


def find(word: str, guest: str | None = None) -> FoundContainer:
    options = argparse.Namespace(guest=guest, connect_timeout=None)
    return find_container(word, options)


@pytest.fixture(autouse=True)
def containers(guest_one: str) -> None:
    for name in ("web", "web-2", "db"):
        HeldRecord.create(
            ContainerRecord(name, "one", ended=1.0, detached=True)
        ).close()


@pytest.mark.parametrize(
    ("word", "name"), [("web", "web"), ("web-", "web-2"), ("d", "db"), ("one/d", "db")]
)
def test_a_container_is_found(word: str, name: str, address: str) -> None:
    found = find(word)
    assert (found.id, found.target.address) == (name, address)
    assert found.is_kept


def test_an_id_of_another_program_is_taken_as_it_is(address: str) -> None:
    for found in (find("one/c9"), find("c9", "one"), find("c9", address)):
        assert (found.id, found.record, found.target.address) == ("c9", None, address)
        assert not found.is_kept


def test_a_guest_may_be_named_by_its_address(address: str) -> None:
    found = find("web-2", address)
    assert found.record is not None


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("we", "container 'we': more than one: one/web, one/web-2"),
        ("x", "container 'x': not found (see kata-agent-ctl ps -a)"),
        ("", "container '': not found (see kata-agent-ctl ps -a)"),
        ("two/x", "guest 'two': not found"),
    ],
)
def test_no_container(word: str, reason: str) -> None:
    with pytest.raises(CommandError) as error:
        find(word)
    assert str(error.value) == reason
