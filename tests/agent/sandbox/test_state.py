# SPDX-License-Identifier: Apache-2.0
"""The table of the sandbox's states."""

from __future__ import annotations

import pytest

from kata_agent.sandbox.state import TRANSITIONS, SandboxEvent, SandboxState

OPEN, ENDING, STUCK = SandboxState
DESTROY, DESTROYED, TIME_OUT = SandboxEvent


@pytest.mark.parametrize(
    ("events", "states"),
    [
        ([DESTROY, DESTROYED], [ENDING, OPEN]),
        ([DESTROY, TIME_OUT, DESTROYED], [ENDING, STUCK, OPEN]),
        # DestroySandbox gives up, and is called again before the first one is done.
        ([DESTROY, TIME_OUT, TIME_OUT, DESTROYED], [ENDING, STUCK, STUCK, OPEN]),
        # DestroySandbox waits for a CreateSandbox that hangs, and goes on after it.
        ([TIME_OUT, DESTROY, DESTROYED], [STUCK, STUCK, OPEN]),
    ],
)
def test_a_destruction(events: list[SandboxEvent], states: list[SandboxState]) -> None:
    state = OPEN
    passed = []
    for event in events:
        state = TRANSITIONS[state, event]
        passed.append(state)
    assert passed == states


def test_every_state_may_time_out() -> None:
    assert {TRANSITIONS[state, TIME_OUT] for state in SandboxState} == {STUCK}


def test_an_open_sandbox_cannot_have_been_destroyed() -> None:
    assert (OPEN, DESTROYED) not in TRANSITIONS
