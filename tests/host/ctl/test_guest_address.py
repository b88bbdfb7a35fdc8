# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.ctl.errors import CommandError, UsageError
from kata_host.ctl.guest_address import address_of, entry_of, running_entry


def test_an_address_may_lack_its_port() -> None:
    assert address_of("hvsock:///run/g.sock") == "hvsock:///run/g.sock:1024"


@pytest.mark.parametrize("guest", ["tcp://x:1", "hvsock://x", "vsock://:1", "unix://"])
def test_an_invalid_address_is_wrong_usage(guest: str) -> None:
    with pytest.raises(UsageError, match=guest):
        address_of(guest)


@pytest.mark.parametrize("name", ["nobody", "Not A Name"])
def test_a_missing_guest_is_an_error_of_the_command(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(CommandError, match=f"guest '{name}'"):
        address_of(name)


def test_a_guest_of_the_registry_is_found_by_its_address(
    guest_one: str, address: str
) -> None:
    for words in ("one", address):
        entry = entry_of(words)
        assert entry is not None
        assert (entry.name, entry.kind) == ("one", "local")
    assert entry_of("unix:///x") is None
    assert running_entry("one").address == address
