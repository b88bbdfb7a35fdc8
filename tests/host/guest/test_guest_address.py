# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.errors import NotFound
from kata_host.guest.guest import GuestError
from kata_host.guest.guest_address import find_address
from kata_host.guest.guest_entry import GuestEntry
from kata_host.guest.held_entry import HeldEntry


@pytest.fixture(autouse=True)
def _guests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("guest", "address"),
    [
        ("hvsock:///run/g.sock", "hvsock:///run/g.sock:1024"),
        ("hvsock:///run/g.sock:7", "hvsock:///run/g.sock:7"),
        ("vsock://3", "vsock://3:1024"),
        ("vsock://3:7", "vsock://3:7"),
        ("unix:///run/a", "unix:///run/a"),
    ],
)
def test_an_address_may_lack_its_port(guest: str, address: str) -> None:
    assert find_address(guest) == address


@pytest.mark.parametrize("guest", ["tcp://x:1", "hvsock://x", "vsock://:1", "unix://"])
def test_an_invalid_address_is_a_value_error(guest: str) -> None:
    with pytest.raises(ValueError, match=guest):
        find_address(guest)


def test_a_name_stands_for_the_guest_that_runs() -> None:
    with HeldEntry("one") as held:
        held.write(GuestEntry("one", "local", "hvsock:///run/g.sock:1024", pid=1))
        assert find_address("one") == "hvsock:///run/g.sock:1024"
        held.write(GuestEntry("one", "local"))
        with pytest.raises(GuestError, match="guest 'one': not running: starting"):
            find_address("one")


def test_the_error_for_an_ended_guest_says_how_it_ended() -> None:
    with HeldEntry("one") as held:
        held.write(
            GuestEntry("one", "local", "hvsock:///g:1024", 1, ending="powered off")
        )
    with pytest.raises(GuestError, match="guest 'one': not running: powered off"):
        find_address("one")


def test_a_missing_guest_is_not_found() -> None:
    with pytest.raises(NotFound, match="guest 'nobody': not found"):
        find_address("nobody")


def test_a_name_that_no_guest_can_have_is_an_error() -> None:
    with pytest.raises(GuestError, match="guest 'Not A Name': invalid name"):
        find_address("Not A Name")
