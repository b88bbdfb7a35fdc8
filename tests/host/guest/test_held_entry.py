# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.guest import registry
from kata_host.guest.guest import GuestError
from kata_host.guest.guest_entry import GuestEntry, GuestState
from kata_host.guest.held_entry import HeldEntry


@pytest.fixture(autouse=True)
def _own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_an_entry_is_held_by_one_at_a_time() -> None:
    with HeldEntry("one"), pytest.raises(GuestError, match="'one': already exists"):
        HeldEntry("one")
    with HeldEntry("one"):
        pass


def test_what_is_written_replaces_what_was_written_before() -> None:
    with HeldEntry("one") as held:
        held.write(GuestEntry("one", "local", address="a" * 1000, pid=1))
        held.write(GuestEntry("one", "vm", address="b", pid=2))
        assert registry.find("one") == (
            GuestEntry("one", "vm", address="b", pid=2),
            GuestState.RUNNING,
        )


def test_a_removed_entry_leaves_no_file_and_no_directory() -> None:
    with HeldEntry("one") as held:
        directory = registry.directory_of("one")
        directory.mkdir()
        (directory / "guest.sock").touch()
        held.remove()
        assert not directory.exists()
        with pytest.raises(registry.GuestNotFound):
            registry.find("one")


def test_a_name_is_free_while_the_removed_entry_is_still_open() -> None:
    with HeldEntry("one") as first:
        first.remove()
        with HeldEntry("one") as second:
            second.write(GuestEntry("one", "local", address="new"))
            assert registry.find("one")[0].address == "new"


@pytest.mark.parametrize("name", ["", "../one", "One"])
def test_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(GuestError, match="invalid name"):
        HeldEntry(name)
