# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.ctl.errors import CommandError, UsageError
from kata_host.ctl.guest_address import address_of


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
