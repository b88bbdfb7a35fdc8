# SPDX-License-Identifier: Apache-2.0
"""Leftovers in a registry of the test's own; tests/e2e/test_endings.py has guests."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from kata_host.guest import registry
from kata_host.guest.guest_entry import GuestEntry
from kata_host.guest.held_entry import HeldEntry
from kata_host.image.image_store import ImageStore
from kata_host.image.store_directory import VARIABLE
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.leftovers import remove_leftovers
from kata_host.keeper.record import ContainerRecord
from kata_host.keeper.records import find_in


@pytest.fixture(autouse=True)
def _own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "store"))


def make_directory(name: str) -> Path:
    directory = registry.directory_of(name)
    directory.mkdir()
    (directory / "guest.sock").touch()
    return directory


def test_nothing_is_made_where_no_guest_was(tmp_path: Path) -> None:
    remove_leftovers()
    assert not list(tmp_path.iterdir())


def test_the_directory_of_a_lost_guest_goes_and_its_entry_stays() -> None:
    with HeldEntry("lost") as held:
        held.write(GuestEntry("lost", "vm", pid=1))
    with HeldEntry("held") as held:
        held.write(GuestEntry("held", "vm", pid=1))
        lost, kept = map(make_directory, ("lost", "held"))
        remove_leftovers()
        assert not lost.exists()
        assert (kept / "guest.sock").exists()
    assert [entry.name for entry, _ in registry.find_all()] == ["held", "lost"]


def test_an_entry_that_its_holder_never_wrote_goes() -> None:
    HeldEntry("one").close()
    remove_leftovers()
    assert not list(registry.find_all())


def killed_scratch(top: Path, purpose: str) -> Path:
    """What a killed process leaves: a directory without a lock."""
    left = top / f"kata-{purpose}.0123abcd"
    left.mkdir()
    (left / "part").touch()
    return left


def test_a_record_that_was_being_made_goes_and_the_others_stay() -> None:
    with HeldEntry("one") as entry:
        entry.write(GuestEntry("one", "local", pid=1))
        left = killed_scratch(make_directory("one"), "record")
        with contextlib.closing(HeldRecord.create(ContainerRecord("c", "one"))):
            remove_leftovers()
            assert [record.id for record, _ in find_in("one")] == ["c"]
    assert not left.exists()


def test_what_was_being_made_in_the_image_store_goes() -> None:
    store = ImageStore.open()
    left = killed_scratch(store.path, "image")
    layer = store.path / "layers/0123"
    layer.mkdir()
    remove_leftovers()
    assert not left.exists()
    assert not layer.exists()
