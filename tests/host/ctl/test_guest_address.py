# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.ctl.errors import CommandError, UsageError
from kata_host.ctl.guest_address import address_of
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
    assert address_of(guest) == address


@pytest.mark.parametrize("guest", ["tcp://x:1", "hvsock://x", "vsock://:1", "unix://"])
def test_an_invalid_address_is_wrong_usage(guest: str) -> None:
    with pytest.raises(UsageError, match=guest):
        address_of(guest)


def test_a_name_stands_for_the_guest_that_runs() -> None:
    with HeldEntry("one") as held:
        held.write(GuestEntry("one", "local", "hvsock:///run/g.sock:1024", pid=1))
        assert address_of("one") == "hvsock:///run/g.sock:1024"
        held.write(GuestEntry("one", "local"))
        with pytest.raises(CommandError, match="guest 'one': not running: starting"):
            address_of("one")


def test_the_error_for_an_ended_guest_says_how_it_ended() -> None:
    with HeldEntry("one") as held:
        held.write(
            GuestEntry("one", "local", "hvsock:///g:1024", 1, ending="powered off")
        )
    with pytest.raises(CommandError, match="guest 'one': not running: powered off"):
        address_of("one")


@pytest.mark.parametrize("name", ["nobody", "Not A Name"])
def test_a_missing_guest_is_named(name: str) -> None:
    with pytest.raises(CommandError, match=f"guest '{name}'"):
        address_of(name)
