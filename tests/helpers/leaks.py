# SPDX-License-Identifier: Apache-2.0
"""The calls and bytes that a server or a client of ttrpc counts: none in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ttrpc.aio.client_session import ClientSession
    from ttrpc.aio.serving import Serving
    from ttrpc.sync.client_session import ClientSession as SyncClientSession


def left_of_serving(serving: Serving) -> dict[str, int]:
    """Return the counters of a server that are not 0, by name."""
    counts = serving.counts
    ended = counts.succeeded + sum(counts.failed.values())
    counters = {
        "calls in flight": serving.calls_in_flight,
        "held": serving.held.used,
        "unread": serving.unread.used,
        "calls without an end": counts.started - ended,
    }
    return {name: count for name, count in counters.items() if count}


def left_of_session(session: ClientSession) -> dict[str, int]:
    """Return what a client's session keeps of its calls after its end, by name."""
    counters = {
        "calls": len(session._calls),
        "inboxes": len(session._inboxes),
        "timers": len(session._timers),
        "calls of the connection": len(session.connection.calls),
        "streams of the connection": len(session.connection.streams),
        "held": session._held.size,
        "unread": session.transport._unread.size,
    }
    return {name: count for name, count in counters.items() if count}


def left_of_sync_session(session: SyncClientSession) -> dict[str, int]:
    """Return the same of a session of the blocking client."""
    counters = {
        "answers": len(session._answers),
        "inboxes": len(session._inboxes),
        "calls of the connection": len(session.connection.calls),
        "streams of the connection": len(session.connection.streams),
    }
    return {name: count for name, count in counters.items() if count}
