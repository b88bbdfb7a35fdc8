# SPDX-License-Identifier: Apache-2.0
"""Guests that have ended already; tests/e2e/test_guest.py has those that run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kata_host.ctl.program import main
from kata_host.guest.guest_entry import GuestEntry
from kata_host.guest.held_entry import HeldEntry


@pytest.fixture(autouse=True)
def _guests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two guests: one has ended, and the holder of the other was killed."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name, ending in (("a", "powered \x1b off"), ("b", "")):
        with HeldEntry(name) as held:
            held.write(GuestEntry(name, "vm", started=5.0, ending=ending))


def test_guests_are_listed_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guest", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "NAME  KIND  STATE                    ADDRESS",
        "a     vm    ended: powered \\x1b off",
        "b     vm    lost",
    ]


def test_guests_are_listed_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guest", "list", "-q"]) == 0
    assert capsys.readouterr().out == "a\nb\n"


def test_guests_are_listed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guest", "list", "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {
        "name": "a",
        "kind": "vm",
        "state": "ended",
        "address": None,
        "pid": None,
        "started": 5.0,
        "network": "none",
        "ending": "powered \x1b off",
    }
    assert (second["state"], second["ending"]) == ("lost", None)


def test_a_guest_that_has_ended_is_forgotten(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["guest", "stop", "a"]) == 0
    assert main(["guest", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "NAME",
        "b",
    ]


def test_a_missing_guest_does_not_keep_the_others_from_being_stopped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["guest", "stop", "nobody", "b"]) == 1
    assert capsys.readouterr().err == "kata-agent-ctl: guest 'nobody': not found\n"
    assert main(["guest", "stop", "--all"]) == 0
    assert main(["guest", "list", "--json"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [[], ["--all", "a"]])
def test_guests_to_stop_are_named_or_all(arguments: list[str]) -> None:
    assert main(["guest", "stop", *arguments]) == 2


def test_a_name_that_is_taken_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with HeldEntry("c") as held:
        held.write(GuestEntry("c", "local", "hvsock:///c:1024", pid=1))
        assert main(["guest", "start", "--name", "c"]) == 1
    assert "guest 'c'" in capsys.readouterr().err
