# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host import sync
from kata_host.errors import GuestEnded


def test_wrong_arguments_and_errors_are_those_of_the_sdk(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cpus 0"):
        sync.Guest.vm(cpus=0)
    with pytest.raises(RuntimeError, match="not started"):
        sync.Guest.local().run(["true"])
    guest = sync.Guest.connect(f"unix://{tmp_path}/none", timeout=0.1)
    with pytest.raises(GuestEnded, match="guest 'unix:"), guest:
        raise AssertionError
