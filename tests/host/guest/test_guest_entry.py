# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.guest.guest_entry import GuestState


def test_a_guest_is_held_until_it_has_ended() -> None:
    held = {state for state in GuestState if state.is_held}
    assert held == {GuestState.STARTING, GuestState.RUNNING}
