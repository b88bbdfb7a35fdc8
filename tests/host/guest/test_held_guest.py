# SPDX-License-Identifier: Apache-2.0
"""Guests that have ended; tests/e2e/test_guest.py has those that run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from kata_host.guest.guest import GuestError
from kata_host.guest.guest_entry import GuestEntry
from kata_host.guest.held_entry import HeldEntry
from kata_host.guest.held_guest import address_of_held, started_holder, stop_guest
from kata_host.guest.registry import GuestExists, find_all
from kata_host.guest.start_request import StartRequest


@pytest.fixture(autouse=True)
def _registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_a_guest_that_has_ended_is_forgotten() -> None:
    with HeldEntry("a") as held:
        held.write(GuestEntry("a", "vm", ending="off"))
        with pytest.raises(GuestError, match="guest 'a': still starting"):
            stop_guest("a")
    stop_guest("a")
    assert not list(find_all())


def test_a_guest_that_cannot_start_leaves_nothing() -> None:
    with HeldEntry("a") as held:
        with pytest.raises(GuestExists, match="guest 'a': already exists"):
            with started_holder(StartRequest("a", "local")) as holder:
                address_of_held(holder, pytest.fail)
        held.remove()
    assert holder.returncode is not None
    assert not list(find_all())


def test_warnings_come_before_the_address() -> None:
    said: list[str] = []
    lines = ({"warning": "odd"}, {"warning": "odder"}, {"address": "unix:///a"})
    holder = subprocess.Popen(
        ["printf", "%s\\n", *map(json.dumps, lines)], stdout=subprocess.PIPE
    )
    with holder:
        assert address_of_held(holder, said.append) == "unix:///a"
    assert said == ["odd", "odder"]
