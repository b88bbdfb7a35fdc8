# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.keeper.record import ContainerRecord


def test_a_container_has_ended_once_its_end_has_a_time() -> None:
    assert not ContainerRecord("c1", "one", started=1.0).has_ended
    # Also where the status is not known.
    assert ContainerRecord("c1", "one", ended=2.0, error="lost").has_ended
