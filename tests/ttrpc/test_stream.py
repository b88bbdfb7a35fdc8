# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.helpers.peer import ECHO
from ttrpc.stream import Stream, StreamEvent, StreamState

LOCAL, REMOTE, END = StreamEvent


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], StreamState.OPEN),
        ([LOCAL], StreamState.LOCAL_CLOSED),
        ([REMOTE], StreamState.REMOTE_CLOSED),
        ([LOCAL, REMOTE], StreamState.CLOSED),
        ([REMOTE, LOCAL], StreamState.CLOSED),
        ([LOCAL, LOCAL], StreamState.LOCAL_CLOSED),
        ([REMOTE, REMOTE], StreamState.REMOTE_CLOSED),
        ([END], StreamState.CLOSED),
        ([LOCAL, END], StreamState.CLOSED),
        ([REMOTE, END], StreamState.CLOSED),
        ([END, LOCAL, REMOTE, END], StreamState.CLOSED),
    ],
)
def test_events_lead_to_a_state(events: list[StreamEvent], state: StreamState) -> None:
    stream = Stream(1, ECHO["EchoStream"])
    for event in events:
        stream.advance(event)
    assert stream.state is state
    assert stream.is_closed is (state is StreamState.CLOSED)
    assert stream.can_send is (LOCAL not in events and END not in events)
    assert stream.can_receive is (REMOTE not in events and END not in events)
