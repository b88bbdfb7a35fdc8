# SPDX-License-Identifier: Apache-2.0
"""The table of a container's states, without any container."""

from __future__ import annotations

import pytest

from kata_agent.container.container_state import (
    TRANSITIONS,
    ContainerEvent,
    ContainerState,
)


def test_every_state_is_reached_from_creating() -> None:
    reached = {ContainerState.CREATING}
    while True:
        further = {to for (state, _), to in TRANSITIONS.items() if state in reached}
        if further <= reached:
            break
        reached |= further
    assert reached == set(ContainerState)


@pytest.mark.parametrize(
    "state", [each for each in ContainerState if each is not ContainerState.REMOVED]
)
def test_every_container_can_be_removed(state: ContainerState) -> None:
    assert TRANSITIONS[state, ContainerEvent.REMOVE] is ContainerState.REMOVED


def test_nothing_happens_to_a_removed_container() -> None:
    assert not [event for state, event in TRANSITIONS if state == "removed"]


@pytest.mark.parametrize("state", [ContainerState.CREATED, ContainerState.RUNNING])
def test_a_resume_undoes_a_pause(state: ContainerState) -> None:
    paused = TRANSITIONS[state, ContainerEvent.PAUSE]
    assert paused.is_paused
    assert TRANSITIONS[paused, ContainerEvent.RESUME] is state


def test_a_stopped_container_can_only_be_removed() -> None:
    events = {event for state, event in TRANSITIONS if state == "stopped"}
    assert events == {ContainerEvent.REMOVE}
