# SPDX-License-Identifier: Apache-2.0
"""Guests that cannot be started; tests/e2e/test_guest.py has those that can."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.ctl.errors import CommandError
from kata_host.ctl.named_guest import named_guest
from kata_host.guest.guest_entry import GuestEntry
from kata_host.guest.held_entry import HeldEntry
from kata_host.guest.registry import directory_of
from kata_host.guest.start_request import StartRequest
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord


@pytest.mark.parametrize("name", ["A", "", "x" * 33])
def test_a_guest_with_a_bad_name_is_not_started(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(CommandError, match="invalid name"):
        with named_guest(StartRequest(name, "local")):
            pytest.fail("started")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("container", "has_record", "says"),
    [
        (None, False, "guest 'web': already exists (kata-agent-ctl guest stop web, "),
        ("web", True, "container 'web': already exists (kata-agent-ctl rm web, "),
        ("web", False, "container 'web': a guest has that name (--guest web, "),
    ],
)
def test_a_name_that_is_taken_is_that_of_what_the_user_has_named(
    container: str | None,
    has_record: bool,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with HeldEntry("web") as held:
        held.write(GuestEntry("web", "local", pid=1))
        directory_of("web").mkdir()
        if has_record:
            HeldRecord.create(ContainerRecord("web", "web")).close()
        with pytest.raises(CommandError) as caught:
            with named_guest(StartRequest("web", "local"), container=container):
                pytest.fail("started")
    assert str(caught.value) == f"{says}or another --name)"
