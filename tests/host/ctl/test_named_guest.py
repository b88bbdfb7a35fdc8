# SPDX-License-Identifier: Apache-2.0
"""Guests that cannot be started; tests/e2e/test_guest.py has those that can."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.ctl.errors import CommandError
from kata_host.ctl.named_guest import named_guest
from kata_host.guest.start_request import StartRequest


@pytest.mark.parametrize("name", ["A", "", "x" * 33])
def test_a_guest_with_a_bad_name_is_not_started(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(CommandError, match="invalid name"):
        with named_guest(StartRequest(name, "local")):
            pytest.fail("started")
    assert not list(tmp_path.iterdir())
