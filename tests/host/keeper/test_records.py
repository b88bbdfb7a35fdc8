# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord, ContainerState
from kata_host.keeper.records import RECORD, find_all, find_in, folder_of, forget, read


def test_containers_are_listed_from_the_oldest(guest_one: str) -> None:
    for name, created in (("c1", 2.0), ("c2", 1.0)):
        record = ContainerRecord(name, "one", created=created, ended=3.0, status=4)
        HeldRecord.create(record).close()
    assert [record.id for record, _ in find_in("one")] == ["c2", "c1"]
    assert [state for _, state in find_all()] == [ContainerState.EXITED] * 2
    forget("one", "c2")
    assert [record.id for record, _ in find_all()] == ["c1"]


def test_one_that_has_ended_is_lost_if_its_holder_would_have_removed_it(
    guest_one: str,
) -> None:
    for name, remove in (("c1", True), ("c2", False)):
        record = ContainerRecord(name, "one", ended=3.0, status=4, remove=remove)
        held = HeldRecord.create(record)
        assert read("one", name) == (record, ContainerState.EXITED)
        held.close()
    states = [state for _, state in find_in("one")]
    assert states == [ContainerState.LOST, ContainerState.EXITED]


def test_a_record_that_is_not_written_yet_is_none(guest_one: str) -> None:
    folder = folder_of("one", "c1")
    folder.mkdir(parents=True)
    assert read("one", "c1") is None
    for content in (b"", b"{", b"[]", b'{"x": 1}', b"\xff"):
        (folder / RECORD).write_bytes(content)
        assert read("one", "c1") is None


def test_the_end_of_an_older_record_is_no_matter(guest_one: str) -> None:
    folder = folder_of("one", "c1")
    folder.mkdir(parents=True)
    (folder / RECORD).write_bytes(b'{"id": "c1", "guest": "one"}"remains"}')
    found = read("one", "c1")
    assert found is not None
    assert found[0] == ContainerRecord("c1", "one")
