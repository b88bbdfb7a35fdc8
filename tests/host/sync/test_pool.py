# SPDX-License-Identifier: Apache-2.0
"""tests/e2e/test_sdk_sync.py has real guests."""

from __future__ import annotations

import pytest

from kata_host.errors import GuestEnded
from kata_host.sync import Guest, Pool


def test_a_guest_that_cannot_be_reached_is_the_error_of_a_caller() -> None:
    def make() -> Guest:
        return Guest.connect("unix:///nowhere", timeout=0.1)

    with Pool(1, make) as pool:
        for _ in range(2):
            with pytest.raises(GuestEnded), pool.guest():
                raise AssertionError
    with pytest.raises(ValueError, match="pool of 0"):
        Pool(0, make)
