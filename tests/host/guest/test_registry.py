# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kata_host.guest import registry
from kata_host.guest.guest import GuestError
from kata_host.guest.guest_entry import GuestEntry, GuestState
from kata_host.guest.held_entry import HeldEntry


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "kata-agent"


def left_behind(entry: GuestEntry) -> None:
    """Leave an entry as a holder does whose process has ended."""
    with HeldEntry(entry.name) as held:
        held.write(entry)


def test_a_guest_that_was_never_started_is_not_found() -> None:
    with pytest.raises(registry.GuestNotFound, match="guest 'one': not found"):
        registry.find("one")
    assert list(registry.find_all()) == []


def test_a_held_entry_without_an_address_is_of_a_guest_that_starts() -> None:
    with HeldEntry("one") as held:
        held.write(GuestEntry("one", "local", pid=7))
        assert registry.find("one")[1] is GuestState.STARTING
        held.write(GuestEntry("one", "local", pid=7, address="hvsock://x:1024"))
        assert registry.find("one")[1] is GuestState.RUNNING


def test_an_entry_that_was_just_made_is_of_a_guest_that_starts() -> None:
    with HeldEntry("one"):
        assert registry.find("one") == (GuestEntry("one", "?"), GuestState.STARTING)


def test_a_guest_that_ended_by_itself_says_how() -> None:
    left_behind(GuestEntry("one", "vm", ending="exit status 1", started=5.0))
    entry, state = registry.find("one")
    assert state is GuestState.ENDED
    assert (entry.ending, entry.started) == ("exit status 1", 5.0)


def test_a_guest_whose_holder_was_killed_is_lost_with_its_pid_and_address() -> None:
    left_behind(GuestEntry("one", "vm", address="hvsock://x:1024", pid=os.getpid()))
    entry, state = registry.find("one")
    assert state is GuestState.LOST
    assert (entry.address, entry.pid) == ("", 0)


@pytest.mark.parametrize("content", ["", "{", '{"colour": 1}', "[]"])
def test_an_entry_that_cannot_be_read_is_of_a_lost_guest(
    directory: Path, content: str
) -> None:
    left_behind(GuestEntry("one", "vm"))
    (directory / "one.json").write_text(content)
    assert registry.find("one") == (GuestEntry("one", "?"), GuestState.LOST)


def test_an_entry_has_the_name_of_its_file(directory: Path) -> None:
    left_behind(GuestEntry("one", "vm"))
    content = json.dumps({"name": "../../etc", "kind": "vm"})
    (directory / "one.json").write_text(content)
    assert registry.find("one")[0].name == "one"


def test_all_guests_are_listed_by_name_and_other_files_are_not(directory: Path) -> None:
    for name in ("b", "a"):
        left_behind(GuestEntry(name, "local"))
    (directory / "README").touch()
    (directory / "Not-A-Name.json").touch()
    assert [entry.name for entry, _ in registry.find_all()] == ["a", "b"]


@pytest.mark.parametrize("name", ["a", "0", "a.b-c_d", "x" * 32])
def test_valid_names(name: str) -> None:
    registry.check_name(name)


@pytest.mark.parametrize("name", ["", ".", "-a", "A", "a/b", "a b", "é", "x" * 33])
def test_invalid_names(name: str) -> None:
    with pytest.raises(GuestError, match=r"guest '.*': invalid name"):
        registry.check_name(name)


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_directory_that_others_can_write_is_not_used(
    directory: Path, mode: int
) -> None:
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(GuestError, match="not a directory of this user alone"):
        registry.runtime_directory()


def test_a_link_is_no_directory(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GuestError, match="not a directory of this user alone"):
        registry.runtime_directory()


def test_a_directory_that_cannot_be_made_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    with pytest.raises(GuestError, match="No such file"):
        registry.runtime_directory()
